"""Stored scores of another network: a spectator, or a CSV file that is joined with candidates.

The first line of the file names the columns: `event_number`, `score`, and where an event may hold
several candidates one or more spectators that distinguish them, `pt` and `eta` for instance:

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
from tauopt.metrics.scored_trial import ScoredTrial, from_stored_score

EVENT_NUMBER, SCORE = "event_number", "score"
_SAME = 1e-5
"""Relative difference up to which two values of a spectator are equal: a file may hold them with
six digits."""
ScoreColumns = Mapping[str, NDArray[Any]]


def against_file(path: Path, predictions: Predictions) -> tuple[NDArray[np.bool_], ScoredTrial]:
    """Take the scores of a CSV file for the candidates that it holds.

    Returns:
        (N,) which candidates have a score, and the scores of those.
    Raises:
        DataError: see `read_scores` and `join`.
    """
    mask, score = join(read_scores(path), predictions, path=path)
    return mask, from_stored_score(path.stem, score, predictions.where(mask))


def against_spectator(predictions: Predictions, name: str, *, label: str = "") -> ScoredTrial:
    """Take a score that is stored as a spectator of the candidates.

    Args:
        predictions: with the score among their columns.
        name: of the spectator.
        label: name in figures and tables; empty takes that of the spectator.
    Raises:
        DataError: the score is not finite for some candidates.
    """
    score = np.asarray(predictions.columns[name], np.float64)
    if not np.isfinite(score).all():
        bad = int((~np.isfinite(score)).sum())
        raise DataError(f"the stored score {label or name!r} is not finite for {bad} candidates")
    return from_stored_score(label or name, score, predictions)


def read_scores(path: Path) -> dict[str, NDArray[Any]]:
    """Read a CSV file of scores.

    Returns:
        column -> (row,): `event_number` int64, all others float64.
    Raises:
        DataError: the file can't be read, lacks a column, or holds a value that is no number; names
            the line.
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
        raise DataError(f"{path}: holds no score: expected rows below the column names")
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
        raise DataError(f"{path}:1: a column name stands twice in {', '.join(names)}")


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
    """Join scores with candidates: find the score of each candidate.

    A row belongs to a candidate if both have the same event number and, to five digits, the same
    values of all spectators that the file holds.

    Args:
        scores: from `read_scores`.
        predictions: with `event_numbers` and spectators.
        path: of the file, for messages.
    Returns:
        mask (N,), True where a candidate has a score; and the scores of those candidates.
    Raises:
        DataError: a column is no spectator; several rows belong to a candidate, or several
            candidates to a row; or no candidate has a score.
    """
    spectators = [name for name in scores if name not in (EVENT_NUMBER, SCORE)]
    for name in spectators:
        if name not in predictions.columns:
            raise DataError(
                f"{path}: column {name!r} is no spectator{nearest(name, predictions.columns)}; "
                f"there are {', '.join(predictions.columns)}"
            )
    row = _rows(scores, predictions, spectators, path=path)
    has_score = row >= 0
    if not has_score.any():
        raise DataError(
            f"{path}: none of its {len(scores[SCORE]):,} rows belongs to one of the "
            f"{len(predictions):,} candidates (by {', '.join([EVENT_NUMBER, *spectators])})"
        )
    used, times = np.unique(row[has_score], return_counts=True)
    if (times > 1).any():
        first = int(used[times > 1][0])
        raise _ambiguous(scores, first, "several candidates belong to one row", path=path)
    return has_score, np.asarray(scores[SCORE][row[has_score]], np.float64)


def _rows(
    scores: ScoreColumns, predictions: Predictions, spectators: list[str], *, path: Path
) -> NDArray[np.int64]:
    """Return the row of each candidate, (N,); -1 where there is none."""
    order = np.argsort(scores[EVENT_NUMBER], kind="stable")
    sorted_events = scores[EVENT_NUMBER][order]
    events = predictions.columns["event_numbers"]
    first = np.searchsorted(sorted_events, events, side="left")
    count = np.searchsorted(sorted_events, events, side="right") - first
    row = np.full(len(predictions), -1, np.int64)
    # One pass for each row that an event may have, over all candidates at once.
    for position in range(int(count.max(initial=0))):
        candidates = np.flatnonzero(count > position)
        rows = order[first[candidates] + position]
        same = np.ones(len(candidates), np.bool_)
        for name in spectators:
            values = np.asarray(predictions.columns[name][candidates], np.float64)
            same &= np.isclose(scores[name][rows], values, rtol=_SAME, atol=_SAME)
        candidates, rows = candidates[same], rows[same]
        has_row = row[candidates] >= 0
        if has_row.any():
            first_row = int(rows[has_row][0])
            raise _ambiguous(scores, first_row, "several rows belong to one candidate", path=path)
        row[candidates] = rows
    return row


def _ambiguous(scores: ScoreColumns, row: int, fault: str, *, path: Path) -> DataError:
    return DataError(
        f"{path}: {fault}, for instance in event {int(scores[EVENT_NUMBER][row])}; add a spectator "
        "as a column that distinguishes the candidates of an event, pt for instance"
    )
