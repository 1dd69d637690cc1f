"""Columns of some entries -> a block of labelled candidates with their features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.physics.expressions import Expression
from tauopt.physics.jagged import Jagged, descending, take_index
from tauopt.prepare.candidate_blocks import Block, ObjectColumns
from tauopt.prepare.dataset_expressions import DatasetExpressions, GroupPlan
from tauopt.prepare.event_split import EVENT_NUMBER
from tauopt.prepare.left_out import MISSING, NO_SPLIT, NOT_SELECTED, OTHER_CLASS, Causes, by_class
from tauopt.prepare.missing import Policy, mark_missing, refuse

CandidateColumns = Mapping[str, Any]


@dataclass(frozen=True)
class EntryLabels:
    """What the entries of a block are."""

    entries: int
    rows: NDArray[np.int64]
    """Entries that are kept."""
    labels: NDArray[np.int16]
    splits: NDArray[np.int8]
    event_numbers: NDArray[np.int64]
    dropped: Counter[str]
    causes: Causes
    """The same in full."""

    def take(self, order: NDArray[np.int64]) -> EntryLabels:
        """Return the kept entries in another order."""
        return replace(
            self,
            rows=self.rows[order],
            labels=self.labels[order],
            splits=self.splits[order],
            event_numbers=self.event_numbers[order],
        )


def label(
    plan: DatasetExpressions, columns: CandidateColumns, *, allowed: Sequence[str], where: str
) -> EntryLabels:
    """Select candidates, say of which class and in which split each is.

    Args:
        plan: the dataset's expressions.
        columns: branches of some entries.
        allowed: classes that the sample may hold.
        where: file and first entry, for messages.
    Raises:
        DataError: a selected candidate is of no class or of two, or in two splits; the event
            number is not an integer. Counts them, with entries as examples.
    """
    entries = _length(columns)
    selected, causes = np.ones(entries, dtype=np.bool_), {}
    for name, cut in plan.selection.items():  # a candidate counts for the first that it fails
        passes = cut.mask(columns, entries=entries)
        causes[name] = selected & ~passes
        selected &= passes
    labels = _classes(plan, columns, selected, where=where)
    of_sample = np.isin(labels, [i for i, name in enumerate(plan.classes) if name in allowed])
    relevant = selected & of_sample
    numbers = event_numbers(plan.event_number, columns, relevant, where=where)
    splits = _splits(plan, numbers, relevant, where=where)
    causes |= {OTHER_CLASS: selected & ~of_sample, NO_SPLIT: relevant & (splits < 0)}
    dropped = Counter({reason: int(causes[reason].sum()) for reason in (OTHER_CLASS, NO_SPLIT)})
    dropped[NOT_SELECTED] = int((~selected).sum())
    rows = np.flatnonzero(relevant & (splits >= 0))
    return EntryLabels(
        entries,
        rows,
        labels[rows],
        splits[rows],
        numbers[rows],
        dropped,
        by_class(causes, labels, tuple(plan.classes)),
    )


def _length(columns: CandidateColumns) -> int:
    column = next(iter(columns.values()))
    return len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)


def _classes(
    plan: DatasetExpressions, columns: CandidateColumns, selected: NDArray[np.bool_], *, where: str
) -> NDArray[np.int16]:
    labels = np.full(len(selected), -1, dtype=np.int16)
    times = np.zeros(len(selected), dtype=np.int16)
    for index, expression in enumerate(plan.classes.values()):
        is_class = expression.mask(columns, entries=len(selected))
        labels[is_class] = index
        times += is_class
    none, two = selected & (times == 0), selected & (times > 1)
    if none.any() or two.any():
        raise DataError(
            f"{where}: every candidate must be of exactly one class, but {_examples(none)} are of "
            f"none and {_examples(two)} of several; classes are {', '.join(plan.classes)}"
        )
    return labels


def _examples(rows: NDArray[np.bool_]) -> str:
    count = int(rows.sum())
    if not count:
        return "0"
    return f"{count} (entries {', '.join(map(str, np.flatnonzero(rows)[:3]))}, ...)"


def event_numbers(
    expression: Expression, columns: CandidateColumns, relevant: NDArray[np.bool_], *, where: str
) -> NDArray[np.int64]:
    """Return event numbers as int64.

    Args:
        expression: of the event number.
        columns: branches of some entries.
        relevant: (entry) those whose numbers are looked at; the others get zero.
        where: file and first entry, for messages.
    Raises:
        DataError: they are jagged, not whole, or too large to be exact.
    """
    values = expression.evaluate_flat(columns, entries=len(relevant))
    if isinstance(values, Jagged):
        raise DataError(f"{where}: event number {expression.text!r} has several values a candidate")
    result = np.zeros(len(values), dtype=np.int64)
    for problem, bad in _inexact(values, expression.text):
        bad &= relevant
        if bad.any():
            raise DataError(
                f"{where}: event number {expression.text!r} ({values.dtype}) of {_examples(bad)} "
                f"{problem}"
            )
    result[relevant] = values[relevant]
    return result


_LARGEST_PART = 2**62


def _inexact(values: NDArray[Any], text: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield what may keep a number from being an int64, and the entries of which it is true."""
    if values.dtype.kind == "u":
        part = f"{text if text.isidentifier() else f'({text})'} % {_LARGEST_PART}"
        yield (
            "is 2^63 or more, which event numbers must not be (they are kept with a sign); take "
            f"the lower bits, `event_number: {part}`",
            values > np.uint64(2**63 - 1),
        )
    if values.dtype.kind == "f":
        bits = np.finfo(values.dtype).nmant + 1
        yield "is NaN or infinite", ~np.isfinite(values)
        with np.errstate(invalid="ignore"):
            yield (
                f"is 2^{bits} or more, of which a float does not tell neighbours apart; expected "
                "an integer branch",
                np.abs(values) >= 2.0**bits,
            )
            yield "is not whole; expected an integer branch", values != np.floor(values)


def _splits(
    plan: DatasetExpressions, numbers: NDArray[np.int64], relevant: NDArray[np.bool_], *, where: str
) -> NDArray[np.int8]:
    columns = {EVENT_NUMBER: numbers, plan.event_number.lone_branch or EVENT_NUMBER: numbers}
    splits = np.full(len(numbers), -1, dtype=np.int8)
    for index, (name, expression) in enumerate(plan.splits.items()):
        inside = expression.mask(columns, entries=len(numbers))
        twice = inside & (splits >= 0) & relevant
        if twice.any():
            other = list(plan.splits)[splits[twice][0]]
            raise DataError(
                f"{where}: {int(twice.sum())} candidates are in the splits {other} and {name}, "
                f"for instance event {numbers[twice][0]}; splits must not overlap"
            )
        splits[inside] = index
    return splits


def make_block(
    plan: DatasetExpressions,
    columns: CandidateColumns,
    labels: EntryLabels,
    *,
    weight: Expression,
    keys: NDArray[np.uint64],
    file: int,
    first: int,
    missing: Policy,
    where: str,
) -> tuple[Block, Counter[str], Counter[str]]:
    """Compute weights and features of labelled candidates.

    Args:
        plan: the dataset's expressions.
        columns: branches of some entries, as given to `label`.
        labels: what these entries are.
        weight: expression of the sample's weight.
        keys: random number of each entry.
        file: number of the file.
        first: entry of the file with which `columns` begin.
        missing: what to do with candidates that hold a missing value.
        where: file and first entry, for messages.
    Returns:
        the candidates; what was dropped, by reason; what is to be imputed, by feature.
    Raises:
        DataError: a weight is not finite or too large, a group's branches disagree about its
            objects, or features are missing and the policy is `error`.
    """
    rows = labels.rows
    candidate, groups = evaluate_features(plan, columns, rows, groups=plan.groups)
    block = Block(
        keys=keys[rows],
        files=np.full(len(rows), file, dtype=np.int32),
        entries=first + rows,
        splits=labels.splits,
        labels=labels.labels,
        weights=_weights(weight, columns, rows, where=f"{where}: weight"),
        event_numbers=labels.event_numbers,
        spectrum=_spectrum(plan, columns, rows, where=where),
        spectators=_stack([_flat(e, columns, rows) for e in plan.spectators.values()], len(rows)),
        candidate=candidate,
        groups=groups,
    )
    found = mark_missing(block, plan)
    if missing == "error":
        refuse(found, where=where, entries=rows)
    if missing == "impute" or not found.rows.any():
        return block, Counter(), found.values
    dropped = Counter({f"{MISSING} {name}": n for name, n in found.candidates.items()})
    dropped[MISSING] = int(found.rows.sum())
    return block.take(~found.rows), dropped, Counter()


def evaluate_features(
    plan: DatasetExpressions,
    columns: CandidateColumns,
    rows: NDArray[np.int64],
    *,
    groups: Sequence[GroupPlan],
) -> tuple[NDArray[np.float32], dict[str, ObjectColumns]]:
    """Compute the features of candidates.

    Args:
        plan: the dataset's expressions.
        columns: branches of some entries.
        rows: (candidate) the entries that are candidates.
        groups: those that are wanted.
    Returns:
        (candidate, feature), and the objects of each group in order; NaN where an expression
        gives NaN or overflows float32.
    Raises:
        DataError: see `make_block`.
    """
    candidate = _stack([_flat(f.expression, columns, rows) for f in plan.candidate], len(rows))
    return candidate, {group.name: _objects(group, columns, rows) for group in groups}


def _flat(
    expression: Expression, columns: CandidateColumns, rows: NDArray[np.int64]
) -> NDArray[Any]:
    values = expression.evaluate_flat(columns, entries=_length(columns))
    if isinstance(values, Jagged):
        raise DataError(
            f"expression {expression.text!r} gives a value for each object, expected one a "
            "candidate: say which with [0], Sum$(...), Min$(...), Max$(...) or Length$(...)"
        )
    return values[rows]


def _spectrum(
    plan: DatasetExpressions, columns: CandidateColumns, rows: NDArray[np.int64], *, where: str
) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(plan.reweight)))
    for column, (name, expression) in enumerate(plan.reweight.items()):
        values[:, column] = _finite(expression, columns, rows, where=f"{where}: reweight.{name}")
    return values


MAX_WEIGHT = 1e30
"""Largest weight: the sum of a hundred million of them is still a number in single precision."""


def _weights(
    expression: Expression, columns: CandidateColumns, rows: NDArray[np.int64], *, where: str
) -> NDArray[np.float64]:
    values = _finite(expression, columns, rows, where=where)
    bad = np.abs(values) > MAX_WEIGHT
    if bad.any():
        raise DataError(
            f"{where} {expression.text!r} is larger than {MAX_WEIGHT:g} for {int(bad.sum())} "
            f"candidates ({_entries(rows[bad])}), so that sums of weights would overflow; look at "
            "the branch, or divide all samples' weights by one number: only their ratios count"
        )
    return values


def _entries(rows: NDArray[np.int64]) -> str:
    return f"entries {', '.join(map(str, np.sort(rows)[:3]))}, ..."


def _finite(
    expression: Expression, columns: CandidateColumns, rows: NDArray[np.int64], *, where: str
) -> NDArray[np.float64]:
    values = _flat(expression, columns, rows).astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"{where} {expression.text!r} is NaN or infinite for {int(bad.sum())} candidates "
            f"({_entries(rows[bad])})"
        )
    return values


def _stack(columns: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float32]:
    result = np.empty((rows, len(columns)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found as missing
        for index, values in enumerate(columns):
            result[:, index] = values
    return result


def _objects(group: GroupPlan, columns: CandidateColumns, rows: NDArray[np.int64]) -> ObjectColumns:
    """Evaluate a group's features, select its objects and put them in order."""
    parts = {f.label: _evaluate(f.expression, columns) for f in group.features}
    select = _evaluate(group.select, columns) if group.select else None
    order = _evaluate(group.order_by, columns) if group.order_by else None
    extras = {f"groups.{group.name}.select": select, f"groups.{group.name}.order_by": order}
    every = _offsets(group, parts | extras)
    index, offsets = take_index(every, rows)
    owners = np.empty(0, np.int64)
    if select is not None or order is not None or not all(map(_is_jagged, parts.values())):
        owners = np.repeat(np.arange(len(rows)), np.diff(offsets))
    if select is not None:
        kept = _spread(select, rows, owners, index) != 0  # not zero is true, as in C++
        index, owners = index[kept], owners[kept]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(np.bincount(owners, minlength=len(rows)), out=offsets[1:])
    if order is not None:
        key = _spread(order, rows, owners, index)
        if np.isnan(key).any():
            raise DataError(
                f"groups.{group.name}.order_by is NaN for {np.isnan(key).sum()} objects"
            )
        sorted_ = descending(key, owners)
        index, owners = index[sorted_], owners[sorted_]
    values = [_spread(part, rows, owners, index) for part in parts.values()]
    return _stack(values, len(index)), offsets


def _is_jagged(part: NDArray[Any] | Jagged) -> bool:
    return isinstance(part, Jagged)


def _evaluate(expression: Expression, columns: CandidateColumns) -> NDArray[Any] | Jagged:
    return expression.evaluate_flat(columns, entries=_length(columns))


def _offsets(group: GroupPlan, parts: Mapping[str, Any]) -> NDArray[np.int64]:
    jagged = {name: part for name, part in parts.items() if isinstance(part, Jagged)}
    if not jagged:
        raise DataError(f"groups.{group.name}: no feature has several values a candidate")
    (first, reference), *others = jagged.items()
    for name, part in others:
        if part.offsets is not reference.offsets and not np.array_equal(
            part.offsets, reference.offsets
        ):
            raise DataError(
                f"groups.{group.name}: {name} and {first} have different numbers of objects; "
                "a group holds objects of one kind"
            )
    return reference.offsets


def _spread(
    part: NDArray[Any] | Jagged,
    rows: NDArray[np.int64],
    owners: NDArray[np.int64],
    index: NDArray[np.int64],
) -> NDArray[Any]:
    """Return a value for each object: at `index` of the content, or of the candidate `owners`."""
    return part.content[index] if isinstance(part, Jagged) else part[rows][owners]
