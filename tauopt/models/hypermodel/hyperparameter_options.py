"""The values that a hyperparameter may have: as the model declares them, narrowed by a file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tauopt.config.settings.ranges import (
    ChoiceRange,
    FloatRange,
    IntRange,
    Range,
    contains,
    describe_range,
    moved_inside,
    same,
)
from tauopt.config.source.yaml_source import Scalar

_TOLERANCE = 1e-9
"""Relative difference below which two numbers are the same."""


@dataclass(frozen=True)
class ExplicitSteps:
    """A list of numbers that are not evenly spaced, in ascending order."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class MirroredLog:
    """Numbers that are searched uniformly in the logarithm of their distance from `centre`.

    KerasTuner's `reverse_log`: the value is `centre - x`, with x in `inner`, a logarithmic range.

    Attributes:
        inner: range of x, whose ends are the mirrored ends of the values.
        centre: sum of the ends that the model declares.
    """

    inner: IntRange | FloatRange
    centre: float

    @property
    def low(self) -> float:
        """The lowest value."""
        return self.centre - self.inner.high

    @property
    def high(self) -> float:
        """The highest value."""
        return self.centre - self.inner.low

    def mirror(self, number: float) -> float:
        """Return the value of a number in `inner`, or the number in `inner` of a value."""
        mirrored = self.centre - number
        return round(mirrored) if isinstance(self.inner, IntRange) else mirrored


Options = Range | ExplicitSteps | MirroredLog


@dataclass(frozen=True)
class HyperparameterRequest:
    """A hyperparameter that a model declares.

    Attributes:
        name: KerasTuner's name, with its name scopes.
        options: allowed values.
        default: the model's default, one of the options.
        scope: the conditional scopes around it, from outside: (name of another hyperparameter, its
            values for which this one is declared).
    """

    name: str
    options: Options
    default: Scalar
    scope: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()


def only_option(options: Options) -> Scalar | None:
    """Return the only option; None if there are several."""
    if isinstance(options, (ChoiceRange, ExplicitSteps)):
        return options.values[0] if len(options.values) == 1 else None
    return options.low if options.low == options.high else None


def matching_option(options: Options, value: Scalar) -> Scalar:
    """Return the option that equals `value`, in the type that the model declares.

    Raises:
        ValueError: `value` is not among the options.
    """
    if isinstance(options, ChoiceRange):
        matching = [choice for choice in options.values if same(choice, value)]
    elif isinstance(value, (bool, str)) or not math.isfinite(value):
        matching = []
    elif isinstance(options, ExplicitSteps):
        matching = [
            step for step in options.values if math.isclose(step, value, rel_tol=_TOLERANCE)
        ]
    elif _contains(options, value):
        matching = [int(value) if isinstance(_range_of(options), IntRange) else float(value)]
    else:
        matching = []
    if not matching:
        raise ValueError(f"the model declares {describe_options(options)}, got {value!r}")
    return matching[0]


def _range_of(options: IntRange | FloatRange | MirroredLog) -> IntRange | FloatRange:
    return options.inner if isinstance(options, MirroredLog) else options


def _contains(options: IntRange | FloatRange | MirroredLog, value: float) -> bool:
    if not isinstance(options, MirroredLog):
        return contains(options, value)
    slack = _TOLERANCE * options.centre
    is_allowed_type = not isinstance(options.inner, IntRange) or value == int(value)
    return is_allowed_type and options.low - slack <= value <= options.high + slack


def nearest_option(options: Options, value: Scalar) -> Scalar:
    """Return the option nearest to a value, for instance to a default outside of the options."""
    if isinstance(options, ExplicitSteps):
        return moved_inside(ChoiceRange(options.values), value)
    if isinstance(options, MirroredLog):
        if isinstance(value, (bool, str)):
            return options.mirror(options.inner.high)
        return options.mirror(float(moved_inside(options.inner, options.centre - value)))
    return moved_inside(options, value)


def narrow(options: Options, range_: Range) -> Options:
    """Restrict the options to those in `range_`.

    A range without `log` or `step` keeps those of the model. A choice may narrow options of any
    kind.

    Raises:
        ValueError: the range has a value that is not among the options, or is of another kind.
    """
    if isinstance(range_, ChoiceRange):
        return ChoiceRange(tuple(matching_option(options, value) for value in range_.values))
    if isinstance(options, ChoiceRange) or (isinstance(range_, IntRange) != _is_whole(options)):
        raise ValueError(
            f"the model declares {describe_options(options)}, got {describe_range(range_)}"
        )
    for end in (range_.low, range_.high):
        matching_option(options, end)  # raises
    if isinstance(options, ExplicitSteps):
        slack = _TOLERANCE * range_.high
        low, high = range_.low - slack, range_.high + slack
        return ExplicitSteps(tuple(step for step in options.values if low <= step <= high))
    if isinstance(options, MirroredLog):
        return _narrow_mirrored(options, range_)
    return _narrow_range(options, range_)


def _is_whole(options: Options) -> bool:
    if isinstance(options, ExplicitSteps):
        return all(isinstance(step, int) for step in options.values)
    return isinstance(_range_of(options), IntRange)  # type: ignore[arg-type]


def _narrow_mirrored(options: MirroredLog, range_: IntRange | FloatRange) -> MirroredLog:
    if range_.log or range_.step not in (None, 1):
        raise ValueError("the model searches it with reverse_log: leave log and step out")
    ends = (options.mirror(range_.high), options.mirror(range_.low))
    return MirroredLog(_same_kind(options.inner, *ends, log=True), options.centre)


def _narrow_range(
    options: IntRange | FloatRange, range_: IntRange | FloatRange
) -> IntRange | FloatRange:
    no_step = 1 if isinstance(options, IntRange) else None
    step = range_.step if range_.step != no_step else options.step
    if step is not None and options.step is not None:
        ratio = step / options.step
        if not math.isclose(ratio, round(ratio), rel_tol=_TOLERANCE):
            raise ValueError(f"step: the model declares steps of {options.step:g}, got {step:g}")
    log = range_.log or options.log
    if log and step != no_step:
        raise ValueError(
            "the model and the file together give the range both log and step, which can't be "
            "combined: leave one of them out"
        )
    return _same_kind(options, range_.low, range_.high, log=log, step=step)


def _same_kind(
    options: IntRange | FloatRange,
    low: float,
    high: float,
    *,
    log: bool,
    step: float | None = None,
) -> IntRange | FloatRange:
    """Return a range from `low` to `high` of the same kind as `options`."""
    if isinstance(options, IntRange):
        return IntRange(int(low), int(high), log, int(step or 1))
    return FloatRange(low, high, log, step)


def describe_options(options: Options) -> str:
    """Describe options in a line, as an experiment file would write them where it can."""
    if isinstance(options, ExplicitSteps):
        return "one of " + ", ".join(f"{step:g}" for step in options.values[:20])
    if isinstance(options, MirroredLog):
        kind = "int" if isinstance(options.inner, IntRange) else "float"
        return f"{kind} [{options.low:g}, {options.high:g}] reverse_log"
    return describe_range(options)
