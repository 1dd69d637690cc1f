"""Ranges: settings that a search may choose.

Written in place of a value, `{int: [4, 15]}`, `{float: [1e-4, 1e-2], log: true}` or
`{choice: [lstm, gru]}`, each with an optional `when: {path: value}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tauopt.config.source.yaml_source import Scalar

Condition = Mapping[str, tuple[Scalar, ...]]
"""Path of another range -> values of it under which this range is active; all must hold."""


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
    """Numbers from `low` to `high`; with a `step`, only whole steps from `low`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True)
class ChoiceRange:
    """One of some values."""

    values: tuple[Scalar, ...]
    when: Condition = field(default_factory=dict)


Range = IntRange | FloatRange | ChoiceRange


def same(one: Scalar, other: Scalar) -> bool:
    """Say whether two values are the same setting: 1 is 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def is_active(range_: Range, values: Mapping[str, Scalar]) -> bool:
    """Say whether a range is to be chosen, given the ranges chosen before it.

    Args:
        range_: one of a space.
        values: the active ranges before it in the space's order, path -> value. A condition
            on a range that is itself inactive doesn't hold.
    """
    return all(
        path in values and any(same(values[path], value) for value in allowed)
        for path, allowed in range_.when.items()
    )


def contains(range_: Range, value: Scalar) -> bool:
    """Say whether a range can take `value`."""
    if isinstance(range_, ChoiceRange):
        return any(same(value, choice) for choice in range_.values)
    is_broken = isinstance(value, float) and not value.is_integer()
    if isinstance(value, (bool, str)) or (isinstance(range_, IntRange) and is_broken):
        return False
    return range_.low <= value <= range_.high and math.isclose(
        float(value), float(_on_step(range_, value)), rel_tol=1e-9
    )


def candidates(range_: Range) -> tuple[Scalar, ...]:
    """Return values whose validity stands for the whole range: the ends, or every choice."""
    if isinstance(range_, ChoiceRange):
        return range_.values
    return (range_.low, range_.high)


def moved_inside(range_: Range, value: Scalar | None) -> Scalar:
    """Return the value of the range nearest to `value`; else its first."""
    number = None if value is None or isinstance(value, (bool, str)) else float(value)
    if isinstance(range_, ChoiceRange):
        return _choice_near(range_, value, number)
    return range_.low if number is None else _on_step(range_, number)


def _choice_near(range_: ChoiceRange, value: Scalar | None, number: float | None) -> Scalar:
    equal = [choice for choice in range_.values if value is not None and same(choice, value)]
    if equal or number is None:
        return (equal or range_.values)[0]
    near = {
        abs(choice - number): choice
        for choice in reversed(range_.values)
        if not isinstance(choice, (bool, str))
    }
    return near[min(near)] if near else range_.values[0]


def _on_step(range_: IntRange | FloatRange, value: float) -> int | float:
    inside = min(max(value, range_.low), range_.high)
    if isinstance(range_, IntRange):
        return range_.low + range_.step * round((inside - range_.low) / range_.step)
    if range_.step is None:
        return inside
    steps = round((inside - range_.low) / range_.step)
    return min(range_.low + steps * range_.step, range_.high)


def points(range_: Range) -> float:
    """Return how many values a range has; infinite for a continuous one."""
    if isinstance(range_, ChoiceRange):
        return float(len(range_.values))
    if range_.step is None:
        return math.inf
    return float(round((range_.high - range_.low) / range_.step) + 1)


def as_text(value: Scalar) -> str:
    """Return a value as a line shows it; empty text as a pair of quotes."""
    return '""' if value == "" else str(value)


def as_plain(range_: Range) -> dict[str, Any]:
    """Return a range without its conditions as a file writes it."""
    if isinstance(range_, ChoiceRange):
        return {"choice": list(range_.values)}
    kind = "int" if isinstance(range_, IntRange) else "float"
    plain: dict[str, Any] = {kind: [range_.low, range_.high]}
    if range_.log:
        plain["log"] = True
    default = 1 if kind == "int" else None
    return plain if range_.step == default else {**plain, "step": range_.step}


def describe_range(range_: Range) -> str:
    """Say a range in a line, as the file would write it."""
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
