"""Make a simulated sample: a folder of ROOT files, each with a JSON record.

`simulation.json` holds the settings. `<file>.json`, with counts and digest, is written after
`<file>.root`: a file that has both is finished, and kept when the simulation is continued.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tauopt.config.settings.dataset import Simulation
from tauopt.durable import locked_in_turn, sha256_file, write_json
from tauopt.errors import CorruptError, UsageError
from tauopt.progress import Progress
from tauopt.simulate.generator import pythia_module
from tauopt.simulate.jets import fastjet_module
from tauopt.simulate.sample_plan import VERSION, FilePlan, plan_files
from tauopt.simulate.worker_pool import FileProgress, make_files

SETTINGS = "simulation.json"


@dataclass(frozen=True)
class FileRecord:
    """Record of a finished file, as `<file>.json` holds it; counts as in `FileCounts`."""

    name: str
    process: str
    slice: str
    selected: int
    entries: int
    events: int
    cross_section_pb: float
    sha256: str
    bytes: int


def identity(settings: Simulation) -> dict[str, Any]:
    """Return everything that determines a sample's content, as JSON values."""
    return {"version": VERSION, **settings.model_dump(mode="json")}


def make_sample(
    settings: Simulation, folder: Path, *, processes: int, progress: Progress
) -> tuple[FileRecord, ...]:
    """Simulate the missing files of a sample.

    A lock makes other processes wait that simulate into the same folder.

    Args:
        settings: sample to simulate.
        folder: folder of the sample; created if missing.
        processes: number of worker processes.
        progress: shows the number of selected candidates.
    Returns:
        a record for each file, in the order of the plan.
    Raises:
        UsageError: Pythia or FastJet is not installed, or the folder holds another sample.
        CorruptError: a finished file has another size than recorded.
    """
    plans = plan_files(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_in_turn(folder / ".lock", what=f"the sample {folder}", say=progress.say):
        _check_settings(folder, settings)
        missing = [plan for plan in plans if not _is_finished(folder, plan)]
        if missing:
            pythia_module(), fastjet_module()  # raise before any worker is started
            progress.begin("simulating", sum(plan.candidates for plan in plans), "candidates")
            progress.advance(sum(p.candidates for p in plans) - sum(p.candidates for p in missing))
            _make_files(missing, folder, processes=processes, progress=progress)
    return tuple(_record(folder, plan) for plan in plans)


def _check_settings(folder: Path, settings: Simulation) -> None:
    """Check that the folder holds no sample of other settings; write the settings if it is new."""
    path = folder / SETTINGS
    expected = identity(settings)
    if not path.exists():
        write_json(path, expected)
        return
    stored = json.loads(path.read_text())
    differences = [
        f"{key}: folder has {stored.get(key)}, expected {expected.get(key)}"
        for key in sorted({*stored, *expected})
        if stored.get(key) != expected.get(key)
    ]
    if differences:
        raise UsageError(
            f"{folder} holds a sample of other settings ({'; '.join(differences)}); "
            "choose another folder, or remove this one"
        )


def _make_files(plans: list[FilePlan], folder: Path, *, processes: int, progress: Progress) -> None:
    shown: dict[str, int] = {}
    # Dijet files come first: they are slow, and no worker shall be left alone with one at the end.
    order = sorted(plans, key=lambda plan: (plan.slice.process, plan.slice.low))
    tasks = [(plan, folder / plan.name) for plan in order]
    for message in make_files(tasks, processes=processes):
        if isinstance(message, FileProgress):
            progress.advance(message.amount)
            shown[message.name] = shown.get(message.name, 0) + message.amount
            continue
        plan = message.plan
        path = folder / plan.name
        record = FileRecord(
            name=plan.name,
            process=plan.slice.process,
            slice=plan.slice.name,
            **asdict(message.counts),
            sha256=sha256_file(path),
            bytes=path.stat().st_size,
        )
        write_json(path.with_suffix(".json"), asdict(record))
        # A worker's last candidates of a file come without a progress message.
        progress.advance(max(plan.candidates - shown.get(plan.name, 0), 0))


def _is_finished(folder: Path, plan: FilePlan) -> bool:
    path = folder / plan.name
    return path.exists() and path.with_suffix(".json").exists()


def _record(folder: Path, plan: FilePlan) -> FileRecord:
    path = folder / plan.name
    record = FileRecord(**json.loads(path.with_suffix(".json").read_text()))
    if path.stat().st_size != record.bytes:
        raise CorruptError(
            f"{path} has {path.stat().st_size} bytes; expected {record.bytes}, as recorded: "
            "remove it and simulate again"
        )
    return record
