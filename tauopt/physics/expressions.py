"""Parse and evaluate expressions over branches, in the dialects of ROOT and numexpr.

ROOT:    `TauJets.pt > 20000 && TauJets.nTracks == 1`
numexpr: `(TauJets_pt > 20000) & (TauJets_nTracks == 1)`

formulate parses both into one tree, which is evaluated here without `eval`. Branch names that are
no identifiers are quoted with backticks, see `branch_names`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tauopt.errors import DataError, nearest
from tauopt.physics.branch_names import BARE_CONSTANTS, HINT, QuoteError, Unquoted, unquote
from tauopt.physics.expression_steps import ExpressionStep, entries_of, run
from tauopt.physics.jagged import Jagged, to_awkward
from tauopt.physics.operators import (
    FUNCTIONS,
    LOGIC_NUMEXPR,
    LOGIC_ROOT,
    OPERATORS,
    REDUCTIONS,
    truth,
)

if TYPE_CHECKING:
    import awkward as ak

Array = NDArray[Any]
Dialect = Literal["root", "numexpr"]

MAX_LENGTH = 20_000
"""Characters of an expression at most; a longer text is a mistake."""

_COMPARISONS = {"lt", "gt", "lte", "gte"}


class ExpressionError(ValueError):
    """A text that is no valid expression.

    `text` is the whole text, `position` the column of the error (from 1; 0 = unknown), `message`
    describes the error.
    """

    def __init__(self, message: str, *, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position
        self.message = message
        where = f" at column {position}" if position else ""
        super().__init__(f"expression {_shorten(text)!r}{where}: {message}")


@dataclass(frozen=True)
class Expression:
    """A parsed expression."""

    text: str
    """As written."""
    branches: tuple[str, ...]
    """Branches that it reads, in order of first appearance."""
    dialect: Dialect
    """The dialect in which it was parsed."""
    steps: tuple[ExpressionStep, ...]

    @property
    def lone_branch(self) -> str:
        """The branch, if the expression is nothing but a branch; else empty."""
        return self.branches[0] if len(self.steps) == 1 and self.branches else ""

    def evaluate(
        self, columns: Mapping[str, Array | ak.Array], *, entries: int | None = None
    ) -> Array | ak.Array:
        """Evaluate the expression for every candidate.

        Args:
            columns: by branch, numpy (candidate,) or (candidate, k), or awkward with one level of
                lists. Scalars are repeated for each object if combined with jagged branches.
            entries: number of candidates, for an expression without branches; None takes it
                from `columns`.
        Returns:
            numpy (candidate,), or awkward (candidate, var) if the result is jagged.
            Arithmetic is in int64 and float64; a lone branch keeps its type.
        Raises:
            DataError: a branch is missing, not numeric, or lengths do not agree.
        """
        result = self.evaluate_flat(columns, entries=entries)
        return to_awkward(result) if isinstance(result, Jagged) else result

    def evaluate_flat(
        self, columns: Mapping[str, Any], *, entries: int | None = None
    ) -> Array | Jagged:
        """Evaluate as `evaluate` does, but return a jagged result as `Jagged`.

        `columns` may also hold `Jagged`.
        """
        try:
            with np.errstate(all="ignore"):
                result: Any = run(self.steps, columns)
        except (DataError, OverflowError, TypeError) as error:
            raise DataError(f"expression {_shorten(self.text)!r}: {error}") from error
        if isinstance(result, Jagged) or np.ndim(result):
            return cast("Array | Jagged", result)
        if entries is None and columns:
            entries = entries_of(next(iter(columns.values())))
        return np.full(() if entries is None else entries, result)

    def mask(self, columns: Mapping[str, Any], *, entries: int | None = None) -> NDArray[np.bool_]:
        """Evaluate the expression as a condition on candidates; as in C++, non-zero is true.

        Returns:
            (candidate,) bool.
        Raises:
            DataError: as `evaluate_flat`, or the result is jagged.
        """
        result = self.evaluate_flat(columns, entries=entries)
        if isinstance(result, Jagged):
            raise DataError(
                f"expression {_shorten(self.text)!r} gives a value for each object, expected one "
                "a candidate: use [0], Sum$(...), Min$(...), Max$(...) or Length$(...)"
            )
        return np.asarray(truth(result), dtype=np.bool_)


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an expression in ROOT's dialect, or else in numexpr's.

    `&&`, `||` and `!` take any non-zero number as true, as in C++. `&` and `|` need conditions or
    integers, and are bitwise on integers; `^` is rejected, since the dialects differ.
    `%` has the sign of the dividend, as in C++. `/` is never integer division. `min` and `max`
    take two arguments, or one jagged branch.
    Names are branches, except `pi`, `true`, `false`, `inf` and `nan`; other constants need
    ROOT's call form (`TMath::TwoPi()`), so that a branch may be called `tau`. In backticks any
    name is a branch.

    Raises:
        ExpressionError: the text is valid in neither dialect; gives column and reason.
    """
    if not text.strip():
        raise ExpressionError("is empty", text=text)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", text=text)
    unquoted = _unquote(text)
    try:
        dialect, tree, names = _parse_tree(unquoted)
        steps = tuple(_steps(tree, text=text, dialect=dialect, names=names))
    except ExpressionError as error:  # in terms of the text with placeholders
        message, position = unquoted.original(error.message), unquoted.column(error.position)
        raise ExpressionError(message, text=text, position=position) from None
    branches = dict.fromkeys(step.value for step in steps if step.kind == "branch")
    return Expression(text=text, branches=tuple(branches), dialect=dialect, steps=steps)


def _unquote(text: str) -> Unquoted:
    """Replace names in backticks by placeholders, and check the remaining characters."""
    try:
        unquoted = unquote(text)
    except QuoteError as error:
        raise ExpressionError(str(error), text=text, position=error.position) from None
    for position, character in enumerate(unquoted.text, start=1):
        message = ""
        if character == "^":
            message = "^ is a power in ROOT and exclusive or in numexpr: write ** or !="
        elif not (character.isascii() and (character.isprintable() or character.isspace())):
            # a look-alike letter would name another branch
            message = f"unexpected character {character!r}"
            message += f"; {HINT}" if character.isprintable() else ""
        if message:
            raise ExpressionError(message, text=text, position=unquoted.column(position))
    return unquoted


def branches_of(expressions: Sequence[Expression]) -> tuple[str, ...]:
    """Return all branches that some expressions read, each once, in order of appearance."""
    return tuple(dict.fromkeys(name for expr in expressions for name in expr.branches))


def _parse_tree(unquoted: Unquoted) -> tuple[Dialect, Any, dict[str, str]]:
    """Parse with formulate; return dialect, tree, and placeholder -> branch."""
    import formulate

    text = unquoted.text
    failures: list[ExpressionError] = []
    parsers: tuple[tuple[Dialect, Callable[[str], Any]], ...] = (
        ("root", formulate.from_root),
        ("numexpr", formulate.from_numexpr),
    )
    for dialect, parser in parsers:
        try:
            parser(text)
            shielded, names = _shield_branches(text)
            return dialect, parser(shielded), names | dict(unquoted.names)
        except formulate.ParseError as error:
            failures.append(_syntax_error(text, error))
        except (ValueError, SyntaxError) as error:  # a name or number unknown to formulate
            raise ExpressionError(_unknown(str(error)), text=text) from None
    # the dialect that got further is the one that was meant; without a column it got to the end
    raise max(failures, key=lambda failure: failure.position or len(text) + 1)


def _shield_branches(text: str) -> tuple[str, dict[str, str]]:
    """Replace names that formulate takes for constants, such as `tau` for 2 pi."""
    from formulate.identifiers import CONSTANTS, CONSTANTS_ALIASES

    names: dict[str, str] = {}

    def shield(match: re.Match[str]) -> str:
        name = match.group()
        canonical = CONSTANTS_ALIASES.get(name, name)
        if canonical not in CONSTANTS or name in BARE_CONSTANTS:
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
        hint = f"; {HINT}" if _lacks_backticks(text, 0) else ""
        return ExpressionError(f"ends too early{hint}", text=text)
    unexpected = str(token) if token is not None else text[position - 1 : position]
    hints = re.findall(r"^- (.*)$", str(error), flags=re.MULTILINE)
    message = f"unexpected {unexpected!r}"
    if unexpected in ("and", "or", "not"):
        hints = ["Write &&, || and !, or &, | and ~."]
    elif _lacks_backticks(text, position):
        hints = [HINT]
    if hints:
        message += "; " + " ".join(hints)
    return ExpressionError(message, text=text, position=max(position, 0))


def _lacks_backticks(text: str, position: int) -> bool:
    """Return whether an unexpected character may belong to a name that lacks its backticks.

    So it is if it is no operator, or follows a digit (`6dVec`), or if the text has a name with
    `::` that is no function.
    """
    character, before = text[position - 1 : position], text[: max(position - 1, 0)]
    follows_digit = bool(re.search(r"(?<![\w.])\d+$", before)) and character.isidentifier()
    has_namespace = bool(re.search(r"::\w+\b(?!\s*[(:])", text))
    return character in {*"#@:\\'\";{}?$"} or follows_digit or has_namespace


def _unknown(message: str) -> str:
    from formulate.identifiers import FUNCTION_ALIASES

    match = re.search(r'Unknown function or constant "(.*)"', message)
    if not match:
        return f"{message[0].lower()}{message[1:].rstrip('.')}; {HINT}"
    known = {*FUNCTIONS, *REDUCTIONS, *FUNCTION_ALIASES} - {"tmath_min", "tmath_max"}
    name = match.group(1)
    suggestion = " (did you mean 'abs'?)" if name == "fabs" else nearest(name, known)
    return f"unknown function {name!r}{suggestion}; known are {', '.join(sorted(known))}"


def _steps(
    tree: Any, *, text: str, dialect: Dialect, names: Mapping[str, str]
) -> Iterator[ExpressionStep]:
    """Yield the steps in order of evaluation, without recursion: trees may be thousands deep."""
    from formulate import AST

    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ExpressionStep):
            yield node
        elif isinstance(node, AST.Literal):
            yield ExpressionStep("value", node.value)
        elif isinstance(node, AST.Symbol):
            yield _symbol(node.name, names)
        else:
            step, children = _operation(node, text=text, dialect=dialect)
            stack.append(step)
            stack.extend(reversed(children))


def _symbol(name: str, names: Mapping[str, str]) -> ExpressionStep:
    from formulate.identifiers import CONSTANTS, PYTHON_CONSTANTS

    if name not in CONSTANTS:
        return ExpressionStep("branch", names.get(name, name))
    special = {"inf": np.inf, "neginf": -np.inf, "nan": np.nan}
    return ExpressionStep("value", special.get(name, PYTHON_CONSTANTS[name]))


def _operation(node: Any, *, text: str, dialect: Dialect) -> tuple[ExpressionStep, Sequence[Any]]:
    from formulate import AST

    if isinstance(node, AST.Matrix):
        if len(node.indices) != 1:
            raise ExpressionError("only one index is supported", text=text)
        return ExpressionStep("index", None, 2), (node.var, *node.indices)
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
        raise ExpressionError(f"':' joins several expressions, expected one; {HINT}", text=text)
    return ExpressionStep("operator", function, len(operands)), operands


def _call(node: Any, *, text: str) -> ExpressionStep:
    name, arguments = node.function, len(node.arguments)
    if arguments == 1 and name in REDUCTIONS:
        return ExpressionStep("function", name, 1)
    if name not in FUNCTIONS:
        known = sorted({*FUNCTIONS, *REDUCTIONS} - {"tmath_min", "tmath_max"})
        if name in REDUCTIONS:
            raise ExpressionError(f"{name} takes one jagged argument, got {arguments}", text=text)
        raise ExpressionError(
            f"function {name!r} is not supported{nearest(name, known)}; known are "
            + ", ".join(known),
            text=text,
        )
    arity, function = FUNCTIONS[name]
    if arguments != arity:
        raise ExpressionError(f"{name} takes {arity} arguments, got {arguments}", text=text)
    return ExpressionStep("operator", function, arity)


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
