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
from tauopt.prepare.candidate_blocks import Block
from tauopt.prepare.dataset_expressions import DatasetExpressions, GroupPlan
from tauopt.prepare.event_split import EVENT_NUMBER
from tauopt.prepare.left_out import MISSING, NO_SPLIT, NOT_SELECTED, OTHER_CLASS, Causes, by_class
from tauopt.prepare.missing import Policy, mark_missing, refuse

CandidateColumns = Mapping[str, Any]


@dataclass(frozen=True)
class EntryLabels:
    """Selection, class and split of some entries of a file."""

    entries: int
    rows: NDArray[np.int64]
    """Entries that are kept."""
    labels: NDArray[np.int16]
    splits: NDArray[np.int8]
    event_numbers: NDArray[np.int64]
    dropped: Counter[str]
    causes: Causes
    """The same by cut and class."""

    def take(self, order: NDArray[np.int64]) -> EntryLabels:
        """Return the kept entries in the order given by `order`, indices into `rows`."""
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
    """Select candidates, and find the class and the split of each.

    Args:
        plan: the dataset's expressions.
        columns: branches of some entries.
        allowed: classes that the sample may hold.
        where: file and first entry, for messages.
    Raises:
        DataError: a selected candidate is of no class or of two, or in two splits, or its event
            number is not an integer; with counts, and entries as examples.
    """
    entries = _length(columns)
    selected, causes = np.ones(entries, dtype=np.bool_), {}
    for name, cut in plan.selection.items():  # a candidate counts for the first cut that it fails
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
    matches = np.zeros(len(selected), dtype=np.int16)
    for index, expression in enumerate(plan.classes.values()):
        is_class = expression.mask(columns, entries=len(selected))
        labels[is_class] = index
        matches += is_class
    none, several = selected & (matches == 0), selected & (matches > 1)
    if none.any() or several.any():
        raise DataError(
            f"{where}: every candidate must be of exactly one class, but {_examples(none)} are of "
            f"none and {_examples(several)} of several; classes are {', '.join(plan.classes)}: "
            "change their expressions or the selection"
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
        relevant: (entry) the entries whose numbers are checked; the others get zero.
        where: file and first entry, for messages.
    Raises:
        DataError: an event number is jagged, not whole, or too large to be exact.
    """
    values = expression.evaluate_flat(columns, entries=len(relevant))
    if isinstance(values, Jagged):
        raise DataError(
            f"{where}: event number {expression.text!r} has several values a candidate, expected "
            "one"
        )
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


_MODULUS = 2**62
"""Modulus that a message suggests for large event numbers: what remains fits an int64."""


def _inexact(values: NDArray[Any], text: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each problem that keeps a number from being an int64, and the entries that have it."""
    if values.dtype.kind == "u":
        remedy = f"{text if text.isidentifier() else f'({text})'} % {_MODULUS}"
        yield (
            "is 2^63 or more, which does not fit a signed integer of 64 bits; take the lower bits, "
            f"`event_number: {remedy}`",
            values > np.uint64(2**63 - 1),
        )
    if values.dtype.kind == "f":
        bits = np.finfo(values.dtype).nmant + 1
        yield "is NaN or infinite", ~np.isfinite(values)
        with np.errstate(invalid="ignore"):
            yield (
                f"is 2^{bits} or more, where a float can't represent every integer; expected an "
                "integer branch",
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
        labels: selection, class and split of these entries.
        weight: expression of the sample's weight.
        keys: (entry) random numbers that decide the order.
        file: number of the file.
        first: entry of the file at which `columns` begin.
        missing: policy for candidates with a missing feature.
        where: file and first entry, for messages.
    Returns:
        the candidates; reason -> candidates dropped; feature -> values to be imputed.
    Raises:
        DataError: a weight is not finite or too large, the branches of a group have different
            numbers of objects, or features are missing and the policy is `error`.
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
    missing_values = mark_missing(block, plan)
    if missing == "error":
        refuse(missing_values, where=where, entries=rows)
    if missing == "impute" or not missing_values.rows.any():
        return block, Counter(), missing_values.values
    dropped = Counter({f"{MISSING} {name}": n for name, n in missing_values.candidates.items()})
    dropped[MISSING] = int(missing_values.rows.sum())
    return block.take(~missing_values.rows), dropped, Counter()


def evaluate_features(
    plan: DatasetExpressions,
    columns: CandidateColumns,
    rows: NDArray[np.int64],
    *,
    groups: Sequence[GroupPlan],
) -> tuple[NDArray[np.float32], dict[str, Jagged]]:
    """Compute the features of candidates.

    Args:
        plan: the dataset's expressions.
        columns: branches of some entries.
        rows: (candidate) the entries that are candidates.
        groups: the groups to evaluate.
    Returns:
        (candidate, feature) float32; group -> objects, selected and in order. NaN where an
        expression gives NaN, infinite where it overflows float32.
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
            "candidate: use [0], Sum$(...), Min$(...), Max$(...) or Length$(...)"
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
"""Largest weight: the sum of a hundred million of them is still finite in single precision."""


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
            f"({_entries(rows[bad])}); look at its branches, or cut these candidates"
        )
    return values


def _stack(columns: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float32]:
    result = np.empty((rows, len(columns)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is found as missing later
        for index, values in enumerate(columns):
            result[:, index] = values
    return result


def _objects(group: GroupPlan, columns: CandidateColumns, rows: NDArray[np.int64]) -> Jagged:
    """Evaluate a group's features, select its objects and sort them in each candidate."""
    parts = {f.label: _evaluate(f.expression, columns) for f in group.features}
    select = _evaluate(group.select, columns) if group.select else None
    order = _evaluate(group.order_by, columns) if group.order_by else None
    extras = {f"groups.{group.name}.select": select, f"groups.{group.name}.order_by": order}
    index, offsets = take_index(_offsets(group, parts | extras), rows)
    # (object) the candidate of each object; left empty where no step below needs it
    owners = np.empty(0, np.int64)
    if (
        select is not None
        or order is not None
        or not all(isinstance(part, Jagged) for part in parts.values())
    ):
        owners = np.repeat(np.arange(len(rows)), np.diff(offsets))
    if select is not None:
        kept = _spread(select, rows, owners, index) != 0  # non-zero is true, as in C++
        index, owners = index[kept], owners[kept]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(np.bincount(owners, minlength=len(rows)), out=offsets[1:])
    if order is not None:
        key = _spread(order, rows, owners, index)
        if np.isnan(key).any():
            raise DataError(
                f"groups.{group.name}.order_by is NaN for {np.isnan(key).sum()} objects, expected "
                "numbers to sort them by"
            )
        order_in_candidate = descending(key, owners)
        index, owners = index[order_in_candidate], owners[order_in_candidate]
    values = [_spread(part, rows, owners, index) for part in parts.values()]
    return Jagged(_stack(values, len(index)), offsets)


def _evaluate(expression: Expression, columns: CandidateColumns) -> NDArray[Any] | Jagged:
    return expression.evaluate_flat(columns, entries=_length(columns))


def _offsets(group: GroupPlan, parts: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the offsets (entry + 1) that all jagged parts of a group have in common."""
    jagged = {name: part for name, part in parts.items() if isinstance(part, Jagged)}
    if not jagged:
        raise DataError(
            f"groups.{group.name}: no feature has several values a candidate, expected a list of "
            "objects"
        )
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
    """Return a value for each object; a value of the candidate is repeated for its objects.

    Args:
        part: jagged, or (entry).
        rows: (candidate) entries.
        owners: (object) index into `rows`.
        index: (object) index into the content of a jagged part.
    """
    return part.content[index] if isinstance(part, Jagged) else part[rows][owners]
