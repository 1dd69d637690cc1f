"""What a hyperparameter may be, as KerasTuner declares it and as a file narrows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

_CLOSE = 1e-9


@dataclass(frozen=True)
class ExplicitSteps:
    """Numbers that are neither evenly spaced nor all whole ones, in rising order."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class MirroredLog:
    """Numbers searched evenly in the logarithm of their distance from `centre`.

    KerasTuner's `reverse_log`: the value is `centre - x`, with x in `inner`, whose ends are the
    mirrored ones; `centre` is the sum of the ends as declared.
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
        """Return the value that `number` of `inner` stands for, or the other way round."""
        mirrored = self.centre - number
        return round(mirrored) if isinstance(self.inner, IntRange) else mirrored


Options = Range | ExplicitSteps | MirroredLog


@dataclass(frozen=True)
class HyperparameterRequest:
    """A hyperparameter that a model asks for.

    Attributes:
        name: as KerasTuner has it, name scopes included.
        options: what the answer may be.
        default: the model's own, one of the options.
        scope: the conditional scopes around it: name of another hyperparameter, and those of its
            values under which this one is asked for.
    """

    name: str
    options: Options
    default: Scalar
    scope: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()


def only_option(options: Options) -> Scalar | None:
    """Return the answer where there is but one; else None."""
    if isinstance(options, (ChoiceRange, ExplicitSteps)):
        return options.values[0] if len(options.values) == 1 else None
    low, high = (options.low, options.high)
    return low if low == high else None


def settled(options: Options, value: Scalar) -> Scalar:
    """Return `value` in the type that the options have.

    Raises:
        ValueError: it is none of the options.
    """
    if isinstance(options, ChoiceRange):
        found = [choice for choice in options.values if same(choice, value)]
        if not found:
            raise _none_of(options, value)
        return found[0]
    if isinstance(value, (bool, str)) or not math.isfinite(value):
        raise _none_of(options, value)
    if isinstance(options, ExplicitSteps):
        close = [step for step in options.values if math.isclose(step, value, rel_tol=_CLOSE)]
        if close:
            return close[0]
        raise _none_of(options, value)
    if not _inside(options, value):
        raise _none_of(options, value)
    return int(value) if isinstance(_plain(options), IntRange) else float(value)


def _plain(options: IntRange | FloatRange | MirroredLog) -> IntRange | FloatRange:
    return options.inner if isinstance(options, MirroredLog) else options


def _inside(options: IntRange | FloatRange | MirroredLog, value: float) -> bool:
    if not isinstance(options, MirroredLog):
        return contains(options, value)
    slack = _CLOSE * options.centre
    whole = not isinstance(options.inner, IntRange) or value == int(value)
    return whole and options.low - slack <= value <= options.high + slack


def _none_of(options: Options, value: Scalar) -> ValueError:
    return ValueError(f"the model declares {describe_options(options)}, got {value!r}")


def nearest_option(options: Options, value: Scalar) -> Scalar:
    """Return the option nearest to a value: where a default lies outside of narrowed options."""
    if isinstance(options, ExplicitSteps):
        return moved_inside(ChoiceRange(options.values), value)
    if isinstance(options, MirroredLog):
        if isinstance(value, (bool, str)):
            return options.mirror(options.inner.high)
        return options.mirror(float(moved_inside(options.inner, options.centre - value)))
    return moved_inside(options, value)


def narrow(options: Options, range_: Range) -> Options:
    """Return those of the options that lie in `range_`.

    A range without `log` or `step` keeps the model's. A choice may stand for options of any kind.

    Raises:
        ValueError: the range holds what is none of the options, or is of another kind.
    """
    if isinstance(range_, ChoiceRange):
        chosen = tuple(settled(options, value) for value in range_.values)
        return ChoiceRange(chosen)
    if isinstance(options, ChoiceRange) or (isinstance(range_, IntRange) != _is_whole(options)):
        raise ValueError(
            f"the model declares {describe_options(options)}, got {describe_range(range_)}"
        )
    for end in (range_.low, range_.high):
        settled(options, end)
    if isinstance(options, ExplicitSteps):
        slack = _CLOSE * range_.high
        inside = (range_.low - slack, range_.high + slack)
        return ExplicitSteps(tuple(v for v in options.values if inside[0] <= v <= inside[1]))
    if isinstance(options, MirroredLog):
        return _narrow_mirrored(options, range_)
    return _narrow_range(options, range_)


def _is_whole(options: Options) -> bool:
    if isinstance(options, ExplicitSteps):
        return all(isinstance(step, int) for step in options.values)
    return isinstance(_plain(options), IntRange)  # type: ignore[arg-type]


def _narrow_mirrored(options: MirroredLog, range_: IntRange | FloatRange) -> MirroredLog:
    if range_.log or range_.step not in (None, 1):
        raise ValueError("the model searches it with reverse_log: leave log and step out")
    ends = (options.mirror(range_.high), options.mirror(range_.low))
    return MirroredLog(_between(options.inner, *ends, log=True), options.centre)


def _narrow_range(
    options: IntRange | FloatRange, range_: IntRange | FloatRange
) -> IntRange | FloatRange:
    declared = 1 if isinstance(options, IntRange) else None
    given = range_.step if range_.step != declared else options.step
    if given is not None and options.step is not None:
        times = given / options.step
        if not math.isclose(times, round(times), rel_tol=_CLOSE):
            raise ValueError(f"step: the model declares steps of {options.step:g}, got {given:g}")
    log = range_.log or options.log
    if log and given != declared:
        raise ValueError("a range with log can't have a step; the model and the file make it both")
    return _between(options, range_.low, range_.high, log=log, step=given)


def _between(
    options: IntRange | FloatRange,
    low: float,
    high: float,
    *,
    log: bool,
    step: float | None = None,
) -> IntRange | FloatRange:
    """Return a range of the same kind."""
    if isinstance(options, IntRange):
        return IntRange(int(low), int(high), log, int(step or 1))
    return FloatRange(low, high, log, step)


def describe_options(options: Options) -> str:
    """Say options in a line."""
    if isinstance(options, ExplicitSteps):
        return "one of " + ", ".join(f"{step:g}" for step in _shortened(options.values))
    if isinstance(options, MirroredLog):
        kind = "int" if isinstance(options.inner, IntRange) else "float"
        return f"{kind} [{options.low:g}, {options.high:g}] reverse_log"
    return describe_range(options)


def _shortened(values: Sequence[float]) -> Sequence[float]:
    return values if len(values) <= 20 else values[:20]
