"""Expressions over branches, in the two dialects that analysts write.

ROOT's:   `TauJets.pt > 20000 && TauJets.nTracks == 1`
numexpr's: `(TauJets_pt > 20000) & (TauJets_nTracks == 1)`

formulate parses both into one tree; the tree is evaluated here, without `eval`. Branches whose
names are no identifiers stand in backticks, see `branch_names`.
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
"""Characters of an expression; a longer one is no expression but an accident."""

_COMPARISONS = {"lt", "gt", "lte", "gte"}


class ExpressionError(ValueError):
    """A text that is no expression.

    `text` is the whole text, `position` the column where it fails (from 1; 0 = unknown),
    `message` what is wrong there.
    """

    def __init__(self, message: str, *, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position
        self.message = message
        where = f" at column {position}" if position else ""
        super().__init__(f"expression {_shorten(text)!r}{where}: {message}")


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    `text` as written; `branches` that it reads, in order of first appearance; `dialect`
    that it was understood in.
    """

    text: str
    branches: tuple[str, ...]
    dialect: Dialect
    steps: tuple[ExpressionStep, ...]

    @property
    def lone_branch(self) -> str:
        """The branch that the expression is; empty if it is more than a branch."""
        return self.branches[0] if len(self.steps) == 1 and self.branches else ""

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
                result: Any = run(self.steps, columns)
        except (DataError, OverflowError, TypeError) as error:
            raise DataError(f"expression {_shorten(self.text)!r}: {error}") from error
        if isinstance(result, Jagged) or np.ndim(result):
            return cast("Array | Jagged", result)
        if entries is None and columns:
            entries = entries_of(next(iter(columns.values())))
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
    ROOT's call form (`TMath::TwoPi()`), so that a branch may be called `tau`. In backticks any
    name is a branch.

    Raises:
        ExpressionError: neither dialect knows it; says where and why.
    """
    if not text.strip():
        raise ExpressionError("is empty", text=text)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", text=text)
    shielded = _unquoted(text)
    try:
        dialect, tree, names = _tree(shielded)
        steps = tuple(_steps(tree, text=text, dialect=dialect, names=names))
    except ExpressionError as error:
        raise _of_original(error, text, shielded) from None
    branches = dict.fromkeys(step.value for step in steps if step.kind == "branch")
    return Expression(text=text, branches=tuple(branches), dialect=dialect, steps=steps)


def _unquoted(text: str) -> Unquoted:
    """Put placeholders for names in backticks, and check the characters of all else."""
    try:
        shielded = unquote(text)
    except QuoteError as error:
        raise ExpressionError(str(error), text=text, position=error.position) from None
    for position, character in enumerate(shielded.text, start=1):
        message = ""
        if character == "^":
            message = "^ is a power to ROOT and exclusive or to numexpr: write ** or !="
        elif not (character.isascii() and (character.isprintable() or character.isspace())):
            # look-alike letters would name another branch
            message = f"unexpected character {character!r}"
            message += f"; {HINT}" if character.isprintable() else ""
        if message:
            raise ExpressionError(message, text=text, position=shielded.column(position))
    return shielded


def _of_original(error: ExpressionError, text: str, shielded: Unquoted) -> ExpressionError:
    """Tell an error of a text with placeholders in terms of the text as it was written."""
    return ExpressionError(
        shielded.original(error.message), text=text, position=shielded.column(error.position)
    )


def branches_of(expressions: Sequence[Expression]) -> tuple[str, ...]:
    """Return all branches that some expressions read, each once, in order of appearance."""
    return tuple(dict.fromkeys(name for one in expressions for name in one.branches))


def _tree(unquoted: Unquoted) -> tuple[Dialect, Any, dict[str, str]]:
    """Parse with formulate; the names are those of branches by placeholder."""
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
        hint = f"; {HINT}" if _may_be_of_a_name(text, 0) else ""
        return ExpressionError(f"ends too early{hint}", text=text)
    found = str(token) if token is not None else text[position - 1 : position]
    hints = re.findall(r"^- (.*)$", str(error), flags=re.MULTILINE)
    message = f"unexpected {found!r}"
    if found in ("and", "or", "not"):
        hints = ["Write &&, || and !, or &, | and ~."]
    elif _may_be_of_a_name(text, position):
        hints = [HINT]
    if hints:
        message += "; " + " ".join(hints)
    return ExpressionError(message, text=text, position=max(position, 0))


def _may_be_of_a_name(text: str, position: int) -> bool:
    """Say whether what is unexpected is no operator, follows a digit (`6dVec`) or a `::`."""
    character, before = text[position - 1 : position], text[: max(position - 1, 0)]
    follows = bool(re.search(r"(?<![\w.])\d+$", before)) and character.isidentifier()
    spaced = bool(re.search(r"::\w+\b(?!\s*[(:])", text))
    return character in {*"#@:\\'\";{}?$"} or follows or spaced


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
    """Walk the tree without recursion (a sum of a thousand terms is a thousand deep)."""
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
    name, given = node.function, len(node.arguments)
    if given == 1 and name in REDUCTIONS:
        return ExpressionStep("function", name, 1)
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
    return ExpressionStep("operator", function, arity)


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
