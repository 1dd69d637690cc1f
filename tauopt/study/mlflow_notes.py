"""Content of a search's MLflow runs: parameters, dataset, notes in markdown, leaderboard table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.objective import Goal
from tauopt.config.source.yaml_source import Scalar
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.durable import write_bytes
from tauopt.study.leaderboard_rows import LeaderboardRow, varying
from tauopt.tracking.dataset_input import DatasetInput
from tauopt.tracking.markdown_notes import search_note, table_json, trial_note

TABLE = "leaderboard_table.json"
"""The leaderboard in the layout that MLflow's UI shows as a table."""


def params_of(file: ExperimentFile) -> dict[str, Scalar]:
    """Return the parameters of the search's own MLflow run."""
    experiment = file.base
    search = experiment.search
    return {
        "objective": ", ".join(goal.name for goal in experiment.objective.goals),
        "model": file.network,
        "data": experiment.data.name,
        "trials": search.trials,
        "sampler": search.sampler.type,
        "pruner": search.pruner.type,
        "seed": search.sampler.seed,
    }


def dataset_input(dataset: PreparedDataset) -> DatasetInput:
    """Return a prepared dataset as a dataset of MLflow, with the candidates of each class."""
    manifest = dataset.manifest
    return DatasetInput(
        name=manifest.name,
        digest=manifest.digest,
        folder=str(dataset.folder),
        profile={
            f"{split} {name}": count
            for split, info in manifest.splits.items()
            for name, count in info.counts.items()
        },
        features=[
            f"{group.name}.{feature.name}"
            for group in (manifest.candidate, *manifest.groups)
            for feature in group.features
        ],
    )


def note_of_trial(number: int, params: Mapping[str, Scalar], *, search: str) -> str:
    """Describe a trial in markdown."""
    return trial_note(
        number=number, search=search, facts={path: f"`{value}`" for path, value in params.items()}
    )


def note_of_search(
    name: str, file: ExperimentFile, board: Sequence[LeaderboardRow] = (), *, resume: str = ""
) -> str:
    """Describe a search in markdown, with its best trials if there are any."""
    experiment = file.base
    facts = {"data": f"`{experiment.data.name}`", "network": f"`{file.network}`"}
    if resume:
        facts["go on with"] = f"`{resume}`"
    goals = experiment.objective.goals
    return search_note(
        name=name,
        large=[goal.name for goal in goals if goal.larger],
        small=[goal.name for goal in goals if not goal.larger],
        facts=facts,
        board=table(board, goals),
    )


def table(board: Sequence[LeaderboardRow], goals: Sequence[Goal]) -> list[dict[str, Any]]:
    """Return the leaderboard as readable rows, best first, with the parameters that vary."""
    paths, (first, *others) = varying(board), [goal.name for goal in goals]
    return [
        {
            "rank": row.rank or "",
            **({"front": row.front or ""} if others else {}),
            "trial": f"t{row.number:03d}",
            first: _rounded(row.value),
            "68 % interval": _interval(row),
            **({"tied": "=" if row.tied else ""} if any(each.tied for each in board) else {}),
            **(
                {"other seeds": str(row.confirmed or "")}
                if any(each.confirmed for each in board)
                else {}
            ),
            **{
                name: _rounded(row.others[name][0] if name in row.others else None)
                for name in others
            },
            "state": row.state_in_words,
            **{path: row.shown.get(path, "") for path in paths},
        }
        for row in board
    ]


def _rounded(value: float | None) -> float | str:
    return "" if value is None else float(f"{value:.5g}")


def _interval(row: LeaderboardRow) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"{row.low:.4g} to {row.high:.4g}"


def write_table(folder: Path, board: Sequence[LeaderboardRow], goals: Sequence[Goal]) -> Path:
    """Write the leaderboard as a table of MLflow's UI into `folder`; return the file's path."""
    path = folder / TABLE
    write_bytes(path, table_json(table(board, goals)).encode())
    return path
