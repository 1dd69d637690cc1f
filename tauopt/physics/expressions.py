"""Expressions over branches, in the two dialects that analysts write.

ROOT's:   `TauJets.pt > 20000 && TauJets.nTracks == 1`
numexpr's: `(TauJets_pt > 20000) & (TauJets_nTracks == 1)`

formulate parses both into one tree; the tree is evaluated here, without `eval`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError, nearest
from tauopt.physics.jagged import Jagged, from_array, to_awkward
from tauopt.physics.operators import (
    FUNCTIONS,
    LOGIC_NUMEXPR,
    LOGIC_ROOT,
    OPERATORS,
    REDUCTIONS,
    element,
    truth,
    widen,
)

if TYPE_CHECKING:
    import awkward as ak

Array = NDArray[Any]
Dialect = Literal["root", "numexpr"]

MAX_LENGTH = 20_000
"""Characters of an expression; a longer one is no expression but an accident."""

_BARE_CONSTANTS = {"true", "false", "pi", "inf", "nan"}
_COMPARISONS = {"lt", "gt", "lte", "gte"}


class ExpressionError(ValueError):
    """A text that is no expression.

    `text` is the whole text, `position` the column where it fails (from 1; 0 = unknown).
    """

    def __init__(self, message: str, *, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position
        where = f" at column {position}" if position else ""
        super().__init__(f"expression {_shorten(text)!r}{where}: {message}")


class Step(NamedTuple):
    """One step of the evaluation on a stack: push a value, or replace `arity` of them."""

    kind: Literal["value", "branch", "operator", "function", "index"]
    value: Any
    arity: int = 0


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    `text` as written; `branches` that it reads, in order of first appearance; `dialect`
    that it was understood in.
    """

    text: str
    branches: tuple[str, ...]
    dialect: Dialect
    steps: tuple[Step, ...]

    def evaluate(
        self, columns: Mapping[str, Array | ak.Array], *, entries: int | None = None
    ) -> Array | ak.Array:
        """Compute the expression for every candidate.

        Args:
            columns: branches: numpy (candidate,) or (candidate, k), or awkward, jagged once.
                Scalars are repeated for each object where they meet jagged branches.
            entries: number of candidates, for an expression without branches; None takes it
                from `columns`.
        Returns:
            numpy (candidate,), or awkward (candidate, var) if the result is jagged.
            Arithmetic is done in int64 and float64; a lone branch keeps its own type.
        Raises:
            DataError: a branch is missing, not numeric, or lengths do not agree.
        """
        result = self.evaluate_flat(columns, entries=entries)
        return to_awkward(result) if isinstance(result, Jagged) else result

    def evaluate_flat(
        self, columns: Mapping[str, Any], *, entries: int | None = None
    ) -> Array | Jagged:
        """Compute the expression as `evaluate` does; a jagged result comes as `Jagged`.

        `columns` may hold `Jagged` too.
        """
        try:
            with np.errstate(all="ignore"):
                result: Any = _run(self.steps, functools.partial(_branch, columns))
        except (DataError, OverflowError, TypeError) as error:
            raise DataError(f"expression {_shorten(self.text)!r}: {error}") from error
        if isinstance(result, Jagged) or np.ndim(result):
            return cast("Array | Jagged", result)
        if entries is None and columns:
            entries = _entries(next(iter(columns.values())))
        return np.full(() if entries is None else entries, result)

    def mask(self, columns: Mapping[str, Any], *, entries: int | None = None) -> NDArray[np.bool_]:
        """Compute the expression as a condition on candidates, with the truth of C++.

        Returns:
            (candidate,) bool.
        Raises:
            DataError: as `evaluate_flat`, or the result is jagged.
        """
        result = self.evaluate_flat(columns, entries=entries)
        if isinstance(result, Jagged):
            raise DataError(
                f"expression {_shorten(self.text)!r} gives a value for each object, expected one "
                "a candidate: say which with [0], Sum$(...), Min$(...), Max$(...) or Length$(...)"
            )
        return np.asarray(truth(result), dtype=np.bool_)


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an expression in ROOT's dialect, or else in numexpr's.

    `&&`, `||` and `!` have the truth of C++, also on integer branches. `&` and `|` are bitwise
    on integers and need conditions or integers; `^` is refused, since the dialects differ.
    `%` has the sign of C++. `/` never cuts to integers. `min` and `max` take two arguments, or
    one jagged branch.
    Names are branches, except `pi`, `true`, `false`, `inf` and `nan`; other constants need
    ROOT's call form (`TMath::TwoPi()`), so that a branch may be called `tau`.

    Raises:
        ExpressionError: neither dialect knows it; says where and why.
    """
    if not text.strip():
        raise ExpressionError("is empty", text=text)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", text=text)
    _check_characters(text)
    dialect, tree, names = _tree(text)
    steps = tuple(_steps(tree, text=text, dialect=dialect, names=names))
    branches = dict.fromkeys(step.value for step in steps if step.kind == "branch")
    return Expression(text=text, branches=tuple(branches), dialect=dialect, steps=steps)


def _check_characters(text: str) -> None:
    for position, character in enumerate(text, start=1):
        if character == "^":
            message = "^ is a power to ROOT and exclusive or to numexpr: write ** or !="
            raise ExpressionError(message, text=text, position=position)
        if not (character.isascii() and (character.isprintable() or character.isspace())):
            # look-alike letters would name another branch
            message = f"unexpected character {character!r}"
            raise ExpressionError(message, text=text, position=position)


def branches_of(expressions: Sequence[Expression]) -> tuple[str, ...]:
    """Return all branches that some expressions read, each once, in order of appearance."""
    return tuple(dict.fromkeys(name for one in expressions for name in one.branches))


def _tree(text: str) -> tuple[Dialect, Any, dict[str, str]]:
    """Parse with formulate; `names` maps placeholders back to branches named like constants."""
    import formulate

    failures: list[ExpressionError] = []
    parsers: tuple[tuple[Dialect, Callable[[str], Any]], ...] = (
        ("root", formulate.from_root),
        ("numexpr", formulate.from_numexpr),
    )
    for dialect, parser in parsers:
        try:
            parser(text)
            shielded, names = _shield_branches(text)
            return dialect, parser(shielded), names
        except formulate.ParseError as error:
            failures.append(_syntax_error(text, error))
        except (ValueError, SyntaxError) as error:  # a name or number it does not know
            raise ExpressionError(_unknown(str(error)), text=text) from None
    raise max(failures, key=lambda failure: failure.position or len(text) + 1)


def _shield_branches(text: str) -> tuple[str, dict[str, str]]:
    """Give names that formulate takes for constants (`tau` is 2 pi to it) other names."""
    from formulate.identifiers import CONSTANTS, CONSTANTS_ALIASES

    names: dict[str, str] = {}

    def shield(match: re.Match[str]) -> str:
        name = match.group()
        canonical = CONSTANTS_ALIASES.get(name, name)
        if canonical not in CONSTANTS or canonical in _BARE_CONSTANTS:
            return name
        placeholder = f"tauopt_branch_{name}"
        names[placeholder] = name
        return placeholder

    return re.sub(r"(?<![\w.:$])(?!\d)[\w.]+(?!\s*[(:]|[\w.$])", shield, text), names


def _syntax_error(text: str, error: Any) -> ExpressionError:
    cause = error.lark_error
    position = getattr(cause, "column", 0) or 0
    token = getattr(cause, "token", None)
    if token is not None and token.type == "$END":
        return ExpressionError("ends too early", text=text)
    found = str(token) if token is not None else text[position - 1 : position]
    hints = re.findall(r"^- (.*)$", str(error), flags=re.MULTILINE)
    message = f"unexpected {found!r}"
    if found in ("and", "or", "not"):
        hints = ["Write &&, || and !, or &, | and ~."]
    if hints:
        message += "; " + " ".join(hints)
    return ExpressionError(message, text=text, position=max(position, 0))


def _unknown(message: str) -> str:
    from formulate.identifiers import FUNCTION_ALIASES

    match = re.search(r'Unknown function or constant "(.*)"', message)
    if not match:
        return message[0].lower() + message[1:]
    known = {*FUNCTIONS, *REDUCTIONS, *FUNCTION_ALIASES} - {"tmath_min", "tmath_max"}
    name = match.group(1)
    suggestion = " (did you mean 'abs'?)" if name == "fabs" else nearest(name, known)
    return f"unknown function {name!r}{suggestion}; known are {', '.join(sorted(known))}"


def _steps(tree: Any, *, text: str, dialect: Dialect, names: Mapping[str, str]) -> Iterator[Step]:
    """Walk the tree without recursion (a sum of a thousand terms is a thousand deep)."""
    from formulate import AST

    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Step):
            yield node
        elif isinstance(node, AST.Literal):
            yield Step("value", node.value)
        elif isinstance(node, AST.Symbol):
            yield _symbol(node.name, names)
        else:
            step, children = _operation(node, text=text, dialect=dialect)
            stack.append(step)
            stack.extend(reversed(children))


def _symbol(name: str, names: Mapping[str, str]) -> Step:
    from formulate.identifiers import CONSTANTS, PYTHON_CONSTANTS

    if name not in CONSTANTS:
        return Step("branch", names.get(name, name))
    special = {"inf": np.inf, "neginf": -np.inf, "nan": np.nan}
    return Step("value", special.get(name, PYTHON_CONSTANTS[name]))


def _operation(node: Any, *, text: str, dialect: Dialect) -> tuple[Step, Sequence[Any]]:
    from formulate import AST

    if isinstance(node, AST.Matrix):
        if len(node.indices) != 1:
            raise ExpressionError("only one index is supported", text=text)
        return Step("index", None, 2), (node.var, *node.indices)
    if isinstance(node, AST.Call):
        return _call(node, text=text), node.arguments
    operands = (node.operand,) if isinstance(node, AST.UnaryOperator) else (node.left, node.right)
    if node.operator in _COMPARISONS and any(
        isinstance(operand, AST.BinaryOperator) and operand.operator in _COMPARISONS
        for operand in operands
    ):
        raise ExpressionError("chained comparison: write a < b && b < c", text=text)
    logic = LOGIC_ROOT if dialect == "root" else LOGIC_NUMEXPR
    function = logic.get(node.operator) or OPERATORS.get(node.operator)
    if function is None:
        raise ExpressionError("':' joins several expressions, expected one", text=text)
    return Step("operator", function, len(operands)), operands


def _call(node: Any, *, text: str) -> Step:
    name, given = node.function, len(node.arguments)
    if given == 1 and name in REDUCTIONS:
        return Step("function", name, 1)
    if name not in FUNCTIONS:
        known = sorted({*FUNCTIONS, *REDUCTIONS} - {"tmath_min", "tmath_max"})
        if name in REDUCTIONS:
            raise ExpressionError(f"{name} takes one jagged argument, got {given}", text=text)
        raise ExpressionError(
            f"function {name!r} is not supported{nearest(name, known)}; known are "
            + ", ".join(known),
            text=text,
        )
    arity, function = FUNCTIONS[name]
    if given != arity:
        raise ExpressionError(f"{name} takes {arity} arguments, got {given}", text=text)
    return Step("operator", function, arity)


def _run(steps: Sequence[Step], read: Callable[[str], Any]) -> Any:
    if len(steps) == 1 and steps[0].kind == "branch":
        return read(steps[0].value)
    stack: list[Any] = []
    for step in steps:
        if step.kind == "value":
            stack.append(step.value)
        elif step.kind == "branch":
            stack.append(widen(read(step.value)))
        else:
            operands = stack[len(stack) - step.arity :]
            del stack[len(stack) - step.arity :]
            stack.append(_apply(step, operands))
    return stack.pop()


def _apply(step: Step, operands: Sequence[Any]) -> Any:
    if step.kind == "operator":
        return _elementwise(step.value, operands)
    if not isinstance(operands[0], Jagged):
        what = "an index" if step.kind == "index" else f"{step.value} of one argument"
        raise DataError(f"{what} needs a branch with several values a candidate")
    if step.kind == "index":
        return element(operands[0], operands[1])
    return REDUCTIONS[step.value](operands[0])


def _elementwise(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    jagged = [operand for operand in operands if isinstance(operand, Jagged)]
    columns = [operand for operand in operands if isinstance(operand, Jagged) or np.ndim(operand)]
    lengths = {_entries(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(f"columns of different lengths: {sorted(lengths)}")
    if not jagged:
        return function(*operands)
    offsets = jagged[0].offsets
    for other in jagged[1:]:
        if not np.array_equal(offsets, other.offsets):
            row = int(np.flatnonzero(offsets[1:] != other.offsets[1:])[0])
            raise DataError(
                f"branches of different objects: candidate {row} has {jagged[0].counts[row]} "
                f"of the one and {other.counts[row]} of the other"
            )
    flat = [_spread(operand, offsets) for operand in operands]
    return Jagged(function(*flat), offsets)


def _spread(operand: Any, offsets: NDArray[np.int64]) -> Any:
    if isinstance(operand, Jagged):
        return operand.content
    return np.repeat(operand, np.diff(offsets)) if np.ndim(operand) else operand


def _entries(column: Any) -> int:
    return len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)


def _branch(columns: Mapping[str, Any], name: str) -> Array | Jagged:
    try:
        values = columns[name]
    except KeyError:
        raise DataError(f"no branch {name!r}{nearest(name, columns)}") from None
    return values if isinstance(values, Jagged) else from_array(values, name=f"branch {name!r}")


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
