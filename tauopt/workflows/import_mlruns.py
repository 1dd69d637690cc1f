"""Runs of old `mlruns` folders, brought into the store of today."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tauopt.progress import Progress, Silent
from tauopt.workflows.places import output_folder


@dataclass(frozen=True)
class Imported:
    """What was brought."""

    experiments: tuple[str, ...]
    """Names of those that got or had the runs."""
    runs: int
    """That came now."""
    already: int
    """That were there from an earlier import."""
    without_artifacts: int
    """Of those that came now: nothing lies beside them in the folder."""


def import_mlruns(
    folder: Path,
    *,
    experiment: str | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Bring the runs of an MLflow file store into the store that tauopt uses, each once.

    Parameters, every point of every metric, tags, times, states, artifacts and parents come;
    deleted runs, registered models and traces do not. The old folder stays as it is.

    Args:
        folder: `mlruns`, or the folder that holds it.
        experiment: MLflow experiment for all of them; None keeps the old names.
        output: output folder; None means `tauopt-output`.
        progress: is told of every run.
    Raises:
        UsageError: no such folder.
        DataError: MLflow can't read it.
        ServiceError: the store does not answer.
    """
    from tauopt.tracking.client import artifact_folder, connect, store_uri
    from tauopt.tracking.importing import PARENT, bring, open_old
    from tauopt.tracking.runs import experiment_id

    progress, place = progress or Silent(), output_folder(output).absolute()
    with tempfile.TemporaryDirectory(prefix="tauopt-import-") as scratch:
        old = open_old(folder, scratch=Path(scratch))
        client = connect(None, output=place)
        artifacts = artifact_folder(store_uri(None, output=place))
        places: dict[str, str] = {}
        ids: dict[str, str] = {}
        new = bare = 0
        for run in old.runs():
            name = experiment or run.experiment
            if name not in places:
                places[name] = experiment_id(client, name, artifacts=artifacts)
            info = run.run.info
            parent = ids.get(run.run.data.tags.get(PARENT, ""))
            ids[info.run_id], came = bring(client, old, run, place=places[name], parent=parent)
            if came:
                progress.say(f"{name}: {info.run_name}")
                new += 1
                bare += not run.artifacts.is_dir()
    return Imported(tuple(places), new, len(ids) - new, bare)
