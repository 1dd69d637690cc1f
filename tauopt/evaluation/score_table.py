"""Scores of another network in a file of comma-separated values, joined with candidates.

The first line names the columns: `event_number`, `score`, and where an event may hold several
candidates one or more spectators by which they are told apart, `pt` and `eta` for instance:

    event_number,pt,score
    4711,35210.5,0.973
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError, nearest
from tauopt.metrics.predictions import Predictions

EVENT_NUMBER, SCORE = "event_number", "score"
_SAME = 1e-5
"""Relative difference up to which values are the same: they may have been written with six
digits."""
ScoreColumns = Mapping[str, NDArray[Any]]


def read_scores(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file of scores.

    Returns:
        column -> (row,): `event_number` int64, all others float64.
    Raises:
        DataError: it can't be read, lacks a column, or holds what is no number; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            names = [name.strip() for name in next(reader, [])]
            _check_names(path, names)
            rows = [_row(names, row, path=path, line=reader.line_num) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    if not rows:
        raise DataError(f"{path}: holds no score")
    parts = zip(names, zip(*rows, strict=True), strict=True)
    return {
        name: np.array(values, np.int64 if name == EVENT_NUMBER else np.float64)
        for name, values in parts
    }


def _check_names(path: Path, names: list[str]) -> None:
    for name in (EVENT_NUMBER, SCORE):
        if name not in names:
            raise DataError(
                f"{path}:1: expected the names of columns, {EVENT_NUMBER} and {SCORE} among them; "
                f"there is no {name!r}{nearest(name, names)} in {', '.join(names) or 'it'}"
            )
    if len(set(names)) < len(names):
        raise DataError(f"{path}:1: a column stands twice in {', '.join(names)}")


def _row(names: list[str], row: list[str], *, path: Path, line: int) -> list[float]:
    if len(row) != len(names):
        raise DataError(f"{path}:{line}: expected {len(names)} values, got {len(row)}")
    try:
        values = [
            int(text) if name == EVENT_NUMBER else float(text)
            for name, text in zip(names, row, strict=True)
        ]
    except ValueError as error:
        raise DataError(f"{path}:{line}: {error}") from None
    if not np.isfinite(values[names.index(SCORE)]):
        raise DataError(f"{path}:{line}: the score is not finite")
    return values


def join(
    scores: ScoreColumns, predictions: Predictions, *, path: Path
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Find the score of each candidate.

    Candidates and rows belong together that have the same event number, and the same values, to
    five digits, of all spectators that the file holds.

    Args:
        scores: from `read_scores`.
        predictions: with `event_numbers` and spectators.
        path: of the file, for messages.
    Returns:
        (N,) which candidates have a score, and the scores of these.
    Raises:
        DataError: a column is no spectator; several rows belong to a candidate, or several
            candidates to a row; or no candidate has a score.
    """
    others = [name for name in scores if name not in (EVENT_NUMBER, SCORE)]
    for name in others:
        if name not in predictions.columns:
            raise DataError(
                f"{path}: column {name!r} is no spectator{nearest(name, predictions.columns)}; "
                f"there are {', '.join(predictions.columns)}"
            )
    row = _rows(scores, predictions, others, path=path)
    found = row >= 0
    if not found.any():
        raise DataError(
            f"{path}: none of its {len(scores[SCORE]):,} rows belongs to one of the "
            f"{len(predictions):,} candidates (by {', '.join([EVENT_NUMBER, *others])})"
        )
    used, times = np.unique(row[found], return_counts=True)
    if (times > 1).any():
        _ambiguous(
            scores, int(used[times > 1][0]), "several candidates belong to one row", path=path
        )
    return found, np.asarray(scores[SCORE][row[found]], np.float64)


def _rows(
    scores: ScoreColumns, predictions: Predictions, others: list[str], *, path: Path
) -> NDArray[np.int64]:
    """Return the row of each candidate, (N,); -1 where there is none."""
    order = np.argsort(scores[EVENT_NUMBER], kind="stable")
    events = scores[EVENT_NUMBER][order]
    wanted = predictions.columns["event_numbers"]
    first = np.searchsorted(events, wanted, side="left")
    count = np.searchsorted(events, wanted, side="right") - first
    row = np.full(len(predictions), -1, np.int64)
    for position in range(int(count.max(initial=0))):
        there = np.flatnonzero(count > position)
        candidate = order[first[there] + position]
        same = np.ones(len(there), np.bool_)
        for name in others:
            mine = np.asarray(predictions.columns[name][there], np.float64)
            same &= np.isclose(scores[name][candidate], mine, rtol=_SAME, atol=_SAME)
        chosen, taken = there[same], candidate[same]
        twice = row[chosen] >= 0
        if twice.any():
            _ambiguous(
                scores, int(taken[twice][0]), "several rows belong to one candidate", path=path
            )
        row[chosen] = taken
    return row


def _ambiguous(scores: ScoreColumns, row: int, what: str, *, path: Path) -> None:
    raise DataError(
        f"{path}: {what}, for instance in event {int(scores[EVENT_NUMBER][row])}; add a spectator "
        "as a column by which candidates of an event are told apart, pt for instance"
    )
