"""Search ranges of settings: integer, float and choice ranges, with conditions.

A file writes them in place of a value: `{int: [4, 15]}`, `{float: [1e-4, 1e-2], log: true}` or
`{choice: [lstm, gru]}`, each with an optional `when: {path: value}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tauopt.config.source.yaml_source import Scalar

Condition = Mapping[str, tuple[Scalar, ...]]
"""Path of another range -> its values under which this range is active; all must hold."""


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True)
class FloatRange:
    """Numbers from `low` to `high`, both included; with a `step`, only whole steps from `low`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True)
class ChoiceRange:
    """A choice among listed values."""

    values: tuple[Scalar, ...]
    when: Condition = field(default_factory=dict)


Range = IntRange | FloatRange | ChoiceRange


def same(one: Scalar, other: Scalar) -> bool:
    """Return whether two values are the same setting: 1 equals 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def is_active(range_: Range, values: Mapping[str, Scalar]) -> bool:
    """Return whether a range is active, given the values of the ranges before it.

    Args:
        range_: a range of a search space.
        values: path -> value of the active ranges before it in the space's order. A condition
            on a range that is itself inactive doesn't hold.
    """
    return all(
        path in values and any(same(values[path], value) for value in allowed)
        for path, allowed in range_.when.items()
    )


def contains(range_: Range, value: Scalar) -> bool:
    """Return whether `value` is in a range."""
    if isinstance(range_, ChoiceRange):
        return any(same(value, choice) for choice in range_.values)
    is_fraction = isinstance(value, float) and not value.is_integer()
    if isinstance(value, (bool, str)) or (isinstance(range_, IntRange) and is_fraction):
        return False
    return range_.low <= value <= range_.high and math.isclose(
        float(value), float(_nearest_step(range_, value)), rel_tol=1e-9
    )


def candidates(range_: Range) -> tuple[Scalar, ...]:
    """Return values whose validity implies that of the whole range: both ends, or every choice."""
    if isinstance(range_, ChoiceRange):
        return range_.values
    return (range_.low, range_.high)


def moved_inside(range_: Range, value: Scalar | None) -> Scalar:
    """Return the value of a range that is nearest to `value`; without a nearest one, its first."""
    number = None if value is None or isinstance(value, (bool, str)) else float(value)
    if isinstance(range_, ChoiceRange):
        return _nearest_choice(range_, value, number)
    return range_.low if number is None else _nearest_step(range_, number)


def _nearest_choice(range_: ChoiceRange, value: Scalar | None, number: float | None) -> Scalar:
    equal = [choice for choice in range_.values if value is not None and same(choice, value)]
    if equal or number is None:
        return (equal or range_.values)[0]
    by_distance = {
        abs(choice - number): choice
        for choice in reversed(range_.values)  # of two equally near choices the first one counts
        if not isinstance(choice, (bool, str))
    }
    return by_distance[min(by_distance)] if by_distance else range_.values[0]


def _nearest_step(range_: IntRange | FloatRange, value: float) -> int | float:
    inside = min(max(value, range_.low), range_.high)
    if isinstance(range_, IntRange):
        return range_.low + range_.step * round((inside - range_.low) / range_.step)
    if range_.step is None:
        return inside
    steps = round((inside - range_.low) / range_.step)
    return min(range_.low + steps * range_.step, range_.high)


def points(range_: Range) -> float:
    """Return the number of values in a range; infinite for a continuous one."""
    if isinstance(range_, ChoiceRange):
        return float(len(range_.values))
    if range_.step is None:
        return math.inf
    return float(round((range_.high - range_.low) / range_.step) + 1)


def as_text(value: Scalar) -> str:
    """Return a value as text for display; empty text as a pair of quotes."""
    return '""' if value == "" else str(value)


def as_plain(range_: Range) -> dict[str, Any]:
    """Return a range as the mapping that a file would hold, without its conditions."""
    if isinstance(range_, ChoiceRange):
        return {"choice": list(range_.values)}
    kind = "int" if isinstance(range_, IntRange) else "float"
    plain: dict[str, Any] = {kind: [range_.low, range_.high]}
    if range_.log:
        plain["log"] = True
    default = 1 if kind == "int" else None
    return plain if range_.step == default else {**plain, "step": range_.step}


def range_from_json(content: Mapping[str, Any]) -> Range:
    """Return the range that `dataclasses.asdict` and JSON made `content` of."""
    when = {path: tuple(values) for path, values in content["when"].items()}
    if "values" in content:
        return ChoiceRange(tuple(content["values"]), when)
    # A float range has no step or a step that is a float; an int range always has an int.
    kind = IntRange if isinstance(content["step"], int) else FloatRange
    return kind(content["low"], content["high"], content["log"], content["step"], when)


def describe_range(range_: Range) -> str:
    """Return a range and its conditions in one line, nearly as a file would write it."""
    if isinstance(range_, ChoiceRange):
        text = "choice [" + ", ".join(map(as_text, range_.values)) + "]"
    else:
        kind = "int" if isinstance(range_, IntRange) else "float"
        text = f"{kind} [{range_.low}, {range_.high}]" + (" log" if range_.log else "")
        text += f" step {range_.step:g}" if range_.step not in (None, 1) else ""
    conditions = [
        f"{path} is {' or '.join(map(str, values))}" for path, values in range_.when.items()
    ]
    return text + (" when " + " and ".join(conditions) if conditions else "")
