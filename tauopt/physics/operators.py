"""Operators, functions and reductions of expressions, on flat arrays.

All arithmetic is in int64 and float64, as in ROOT: a uint8 track count minus 3 may be negative,
and a float32 momentum is compared as a double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.physics.jagged import Jagged

Array = NDArray[Any]


def widen(values: Any) -> Any:
    """Return a branch as bool, int64, uint64 (only if int64 is too small) or float64."""
    if isinstance(values, Jagged):
        return Jagged(widen(values.content), values.offsets)
    kind = values.dtype.kind
    if kind == "f":
        return values.astype(np.float64, copy=False)
    if kind == "i" or (kind == "u" and not _large(values)):
        return values.astype(np.int64, copy=False)
    return values


def _large(values: Array) -> bool:
    return values.dtype.itemsize == 8 and bool(np.any(values > np.uint64(2**63 - 1)))


def truth(values: Any) -> Any:
    """Return the truth value of numbers in C++: everything but zero is true, also NaN."""
    return values if _is_boolean(values) else np.not_equal(values, 0)


def _is_boolean(values: Any) -> bool:
    return isinstance(values, bool) or (hasattr(values, "dtype") and values.dtype == np.bool_)


def _is_integer(values: Any) -> bool:
    if hasattr(values, "dtype"):
        return values.dtype.kind in "biu"
    return isinstance(values, int)


def _number(values: Any) -> Any:
    if isinstance(values, bool):
        return int(values)
    return values.astype(np.int64) if _is_boolean(values) else values


def _double(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: function(*(_number(operand) for operand in operands))


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: function(*(_double(operand) for operand in operands))


def _remainder(left: Any, right: Any) -> Any:
    left, right = _number(left), _number(right)
    if _is_integer(right) and np.any(np.equal(right, 0)):
        raise DataError("remainder of a division by zero")
    return np.fmod(left, right)


def _divide(left: Any, right: Any) -> Any:
    return np.true_divide(_number(left), _number(right))


def _power(base: Any, exponent: Any) -> Any:
    return np.power(_double(base), _double(exponent))


def _invert(values: Any) -> Any:
    if _is_boolean(values):
        return np.logical_not(values)
    raise DataError("~ of an integer is true for both 0 and 1: write `x == 0`")


def _bitwise(function: Callable[..., Any], symbol: str) -> Callable[..., Any]:
    def apply(left: Any, right: Any) -> Any:
        if _is_integer(left) and _is_integer(right):
            return function(left, right)
        raise DataError(f"{symbol} needs conditions or integers: put comparisons in parentheses")

    return apply


LOGIC_ROOT: Mapping[str, Callable[..., Any]] = {
    "and": lambda left, right: np.logical_and(truth(left), truth(right)),
    "or": lambda left, right: np.logical_or(truth(left), truth(right)),
    "inv": lambda values: np.logical_not(truth(values)),
}
"""`&&`, `||` and `!`, with the truth values of C++."""

LOGIC_NUMEXPR: Mapping[str, Callable[..., Any]] = {
    "and": _bitwise(np.bitwise_and, "&"),
    "or": _bitwise(np.bitwise_or, "|"),
    "inv": _invert,
}
"""`&`, `|` and `~`: bitwise on integers, as in numexpr, numpy and C++."""

OPERATORS: Mapping[str, Callable[..., Any]] = {
    "pos": _arithmetic(np.positive),
    "neg": _arithmetic(np.negative),
    "add": _arithmetic(np.add),
    "sub": _arithmetic(np.subtract),
    "mul": _arithmetic(np.multiply),
    "div": _divide,
    "mod": _remainder,
    "pow": _power,
    "lt": _arithmetic(np.less),
    "gt": _arithmetic(np.greater),
    "lte": _arithmetic(np.less_equal),
    "gte": _arithmetic(np.greater_equal),
    "eq": _arithmetic(np.equal),
    "neq": _arithmetic(np.not_equal),
}
"""Operators by formulate's canonical names."""

COMPARISONS = tuple(OPERATORS[name] for name in ("lt", "gt", "lte", "gte", "eq", "neq"))
"""Operators whose result is boolean."""

FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "abs": (1, _arithmetic(np.abs)),
    "pow": (2, _power),
    "where": (3, lambda test, yes, no: np.where(truth(test), _number(yes), _number(no))),
    "min": (2, _arithmetic(np.minimum)),
    "max": (2, _arithmetic(np.maximum)),
    "tmath_min": (2, _arithmetic(np.minimum)),
    "tmath_max": (2, _arithmetic(np.maximum)),
    "arctan2": (2, _real(np.arctan2)),
    **{
        name: (1, _real(getattr(np, name)))
        for name in (
            *("sqrt", "log", "log2", "log10", "log1p", "exp", "expm1", "ceil", "floor"),
            *("sin", "cos", "tan", "arcsin", "arccos", "arctan"),
            *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
        )
    },
}
"""Elementwise functions, each with its number of arguments."""


def _sum(values: Jagged) -> Array:
    content = _number(values.content)
    return _reduce(np.add, Jagged(content, values.offsets), empty=content.dtype.type(0))


def _product(values: Jagged) -> Array:
    content = _number(values.content)
    return _reduce(np.multiply, Jagged(content, values.offsets), empty=content.dtype.type(1))


def _extreme(function: np.ufunc) -> Callable[[Jagged], Array]:
    return lambda values: _reduce(
        function, Jagged(_double(values.content), values.offsets), empty=np.float64("nan")
    )


def _reduce(function: np.ufunc, values: Jagged, *, empty: Any) -> Array:
    counts = values.counts
    result = np.full(len(counts), empty)
    if len(values.content):
        # reduceat reduces from each offset to the next: right once empty candidates are left out
        result[counts > 0] = function.reduceat(values.content, values.offsets[:-1][counts > 0])
    return result


REDUCTIONS: Mapping[str, Callable[[Jagged], Array]] = {
    "sum": _sum,
    "prod": _product,
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "length": lambda values: values.counts,
}
"""Functions of one jagged argument that give one value a candidate; minimum and maximum are NaN
for a candidate without objects."""


def element(values: Jagged, index: Any) -> Array:
    """Return `values[index]` of each candidate as float64, NaN if it has too few objects."""
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise DataError("an index must be a constant integer of 0 or more")
    has_element = values.counts > index
    result = np.full(len(has_element), np.nan)
    result[has_element] = values.content[values.offsets[:-1][has_element] + index]
    return result
