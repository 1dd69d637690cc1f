"""A simulated sample: a folder of ROOT files, each with a JSON file that says it is finished.

`simulation.json` names the settings; `<file>.root` comes first, its `<file>.json` with counts and
digest after it. What has both is kept when the work is taken up again.
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
    """What a finished file holds."""

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
    """Return all that decides a sample's content."""
    return {"version": VERSION, **settings.model_dump(mode="json")}


def make_sample(
    settings: Simulation, folder: Path, *, processes: int, progress: Progress
) -> tuple[FileRecord, ...]:
    """Simulate the files of a sample that are not there yet; of several processes one does it.

    Args:
        settings: what to simulate.
        folder: where; made if missing.
        processes: worker processes.
        progress: counts selected candidates.
    Returns:
        a record for each file, in the order of the plan.
    Raises:
        UsageError: an extra is not installed, or the folder holds another sample.
        CorruptError: a finished file has another size than recorded.
    """
    plans = plan_files(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_in_turn(folder / ".lock", what=f"the sample {folder}", say=progress.say):
        _claim(folder, settings)
        missing = [plan for plan in plans if not _is_finished(folder, plan)]
        if missing:
            pythia_module(), fastjet_module()
            progress.begin("simulating", sum(plan.candidates for plan in plans), "candidates")
            progress.advance(sum(p.candidates for p in plans) - sum(p.candidates for p in missing))
            _make(missing, folder, processes=processes, progress=progress)
    return tuple(_record(folder, plan) for plan in plans)


def _claim(folder: Path, settings: Simulation) -> None:
    path = folder / SETTINGS
    wanted = identity(settings)
    if not path.exists():
        write_json(path, wanted)
        return
    found = json.loads(path.read_text())
    differences = [
        f"{key}: there {found.get(key)}, wanted {wanted.get(key)}"
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]
    if differences:
        raise UsageError(
            f"{folder} holds a sample of other settings ({'; '.join(differences)}); "
            "choose another folder, or remove this one"
        )


def _make(plans: list[FilePlan], folder: Path, *, processes: int, progress: Progress) -> None:
    told: dict[str, int] = {}
    # Slow files first, so that no worker is left alone with one at the end.
    order = sorted(plans, key=lambda plan: (plan.slice.process, plan.slice.low), reverse=False)
    tasks = [(plan, folder / plan.name) for plan in order]
    for message in make_files(tasks, processes=processes):
        if isinstance(message, FileProgress):
            progress.advance(message.amount)
            told[message.name] = told.get(message.name, 0) + message.amount
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
        progress.advance(max(plan.candidates - told.get(plan.name, 0), 0))


def _is_finished(folder: Path, plan: FilePlan) -> bool:
    path = folder / plan.name
    return path.exists() and path.with_suffix(".json").exists()


def _record(folder: Path, plan: FilePlan) -> FileRecord:
    path = folder / plan.name
    record = FileRecord(**json.loads(path.with_suffix(".json").read_text()))
    if path.stat().st_size != record.bytes:
        raise CorruptError(
            f"{path} has {path.stat().st_size} bytes, expected {record.bytes}; "
            "remove it and simulate again"
        )
    return record
