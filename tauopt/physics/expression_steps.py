"""Evaluate the steps of an expression on a stack of flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError
from tauopt.physics.branch_names import nearest_branch
from tauopt.physics.jagged import Array, Jagged, from_array
from tauopt.physics.operators import REDUCTIONS, element, widen


class ExpressionStep(NamedTuple):
    """One step of the evaluation: push a value, or replace the last `arity` values by one."""

    kind: Literal["value", "branch", "operator", "function", "index"]
    value: Any
    arity: int = 0


def run(steps: Sequence[ExpressionStep], columns: Mapping[str, Any]) -> Any:
    """Evaluate steps on branches; a lone branch keeps its type.

    Returns:
        numpy (candidate,), `Jagged`, or a number if the expression has no branches.
    Raises:
        DataError: a branch is missing or not numeric, or lengths do not agree.
    """
    if len(steps) == 1 and steps[0].kind == "branch":
        return _branch(columns, steps[0].value)
    stack: list[Any] = []
    for step in steps:
        if step.kind == "value":
            stack.append(step.value)
        elif step.kind == "branch":
            stack.append(widen(_branch(columns, step.value)))
        else:
            operands = stack[len(stack) - step.arity :]
            del stack[len(stack) - step.arity :]
            stack.append(_apply(step, operands))
    return stack.pop()


def _apply(step: ExpressionStep, operands: Sequence[Any]) -> Any:
    if step.kind == "operator":
        return _elementwise(step.value, operands)
    if not isinstance(operands[0], Jagged):
        operation = "an index" if step.kind == "index" else f"{step.value} of one argument"
        raise DataError(f"{operation} needs a branch with several values a candidate")
    if step.kind == "index":
        return element(operands[0], operands[1])
    return REDUCTIONS[step.value](operands[0])


def _elementwise(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    jagged = [operand for operand in operands if isinstance(operand, Jagged)]
    columns = [operand for operand in operands if isinstance(operand, Jagged) or np.ndim(operand)]
    lengths = {entries_of(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(f"columns of different lengths: {sorted(lengths)}")
    if not jagged:
        return function(*operands)
    offsets = jagged[0].offsets
    for other in jagged[1:]:
        if not np.array_equal(offsets, other.offsets):
            row = int(np.flatnonzero(offsets[1:] != other.offsets[1:])[0])
            raise DataError(
                f"branches of different objects can't be combined: candidate {row} has "
                f"{jagged[0].counts[row]} objects in one and {other.counts[row]} in the other"
            )
    flat = [_repeat_for_objects(operand, offsets) for operand in operands]
    return Jagged(function(*flat), offsets)


def _repeat_for_objects(operand: Any, offsets: NDArray[np.int64]) -> Any:
    if isinstance(operand, Jagged):
        return operand.content
    return np.repeat(operand, np.diff(offsets)) if np.ndim(operand) else operand


def entries_of(column: Any) -> int:
    """Return the number of candidates of a column."""
    return len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)


def _branch(columns: Mapping[str, Any], name: str) -> Array | Jagged:
    try:
        values = columns[name]
    except KeyError:
        raise DataError(f"no branch {name!r}{nearest_branch(name, columns)}") from None
    return values if isinstance(values, Jagged) else from_array(values, name=f"branch {name!r}")
