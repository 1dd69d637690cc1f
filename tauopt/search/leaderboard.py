"""The trials of a study as rows, best first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tauopt.config.settings import Scalar
from tauopt.search.plans import trial_folder
from tauopt.search.runs import RUN_ID, delivered_run_id
from tauopt.search.trials import DUPLICATE_OF, REASON, values_of

LEADERBOARD = "leaderboard.json"
"""Name of the rows' file in the search's folder."""
RESULT = "result.json"
_ORDER = (
    TrialState.COMPLETE,
    TrialState.RUNNING,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.WAITING,
)


@dataclass(frozen=True)
class Row:
    """One trial."""

    rank: int
    """1 is best; 0 for a trial that did not complete."""
    number: int
    state: str
    """COMPLETE, PRUNED, FAIL, RUNNING or WAITING."""
    value: float | None
    """The objective at its best report or, of a trial that did not complete, at its last."""
    low: float | None
    high: float | None
    """Ends of the 68 % interval of `value`; only of a complete trial."""
    params: Mapping[str, Scalar]
    reports: int
    seconds: float | None
    run_id: str
    duplicate_of: int | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def rows(trials: Iterable[FrozenTrial], folder: Path) -> list[Row]:
    """Return a row a trial: complete ones by value, then the others by their last value.

    Args:
        trials: of the study.
        folder: of the search, where the trials' results and run ids lie.
    """
    ordered = sorted(trials, key=_place)
    return [_row(trial, rank, folder) for rank, trial in enumerate(ordered, start=1)]


def varying(board: Iterable[Row]) -> list[str]:
    """Return the parameters that differ between rows, in the order of the first row."""
    values: dict[str, set[str]] = {}
    shown = list(board)
    for row in shown:
        for path, value in row.params.items():
            values.setdefault(path, set()).add(repr(value))
    return [path for path, seen in values.items() if len(shown) == 1 or len(seen) > 1]


def _place(trial: FrozenTrial) -> tuple[int, bool, float, int]:
    value = _value(trial)
    duplicate = DUPLICATE_OF in trial.user_attrs
    return (_ORDER.index(trial.state), duplicate, -(value or 0.0), trial.number)


def _value(trial: FrozenTrial) -> float | None:
    if trial.state is TrialState.COMPLETE:
        return None if trial.value is None else float(trial.value)
    last = trial.last_step
    return None if last is None else float(trial.intermediate_values[last])


def _row(trial: FrozenTrial, rank: int, folder: Path) -> Row:
    complete = trial.state is TrialState.COMPLETE
    first = trial.user_attrs.get(DUPLICATE_OF)
    here = trial_folder(folder, trial.number if first is None else first)
    low, high = _interval(here) if complete else (None, None)
    begun, ended = trial.datetime_start, trial.datetime_complete
    return Row(
        rank=rank if complete and first is None else 0,
        number=trial.number,
        state=trial.state.name,
        value=_value(trial),
        low=low,
        high=high,
        params=values_of(trial),
        reports=trial.last_step or 0,
        seconds=(ended - begun).total_seconds() if begun and ended else None,
        run_id=str(trial.user_attrs.get(RUN_ID, "")) or delivered_run_id(here),
        duplicate_of=first,
        reason=str(trial.user_attrs.get(REASON, "")),
    )


def _interval(folder: Path) -> tuple[float | None, float | None]:
    """Return the interval of the objective from the trial's result; None where it has none."""
    try:
        result = json.loads((folder / RESULT).read_text())
        _, low, high = result["metrics"][result["objective"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    return float(low), float(high)
