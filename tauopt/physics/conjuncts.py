"""Split a condition into its conjuncts, so that a cut flow can count each by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tauopt.physics.expression_steps import ExpressionStep
from tauopt.physics.expressions import Expression, ExpressionError, parse
from tauopt.physics.operators import COMPARISONS, LOGIC_NUMEXPR, LOGIC_ROOT

_TOKEN = re.compile(r"`[^`]*`|&&|[&()]|[^`&()]+|`")


def conjuncts(condition: Expression) -> tuple[Expression, ...]:
    """Split a condition at its outermost `&&`, or `&` between conditions.

    Returns:
        the parts in order; `condition` is true where all of them are. `condition` alone if it is
        no conjunction.
    """
    for symbol, conjunction in (("&&", LOGIC_ROOT["and"]), ("&", LOGIC_NUMEXPR["and"])):
        try:
            first, *others = [parse(text) for text in _split(condition.text, symbol)]
        except ExpressionError:  # a part is no expression: `symbol` is not outermost
            continue
        steps = first.steps
        for part in others:
            steps += (*part.steps, ExpressionStep("operator", conjunction, 2))
        boolean = symbol == "&&" or all(_is_boolean(part.steps) for part in (first, *others))
        # the steps differ if an operator that binds less, such as `||`, is outermost
        if others and boolean and steps == condition.steps:
            return (first, *others)
    return (condition,)


def _split(text: str, symbol: str) -> list[str]:
    parts, depth = [""], 0
    for token in _TOKEN.findall(text):
        depth += (token == "(") - (token == ")")
        if token == symbol and not depth:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts]


def _is_boolean(steps: Sequence[ExpressionStep]) -> bool:
    """Return whether an expression is boolean: on integers `&` would be bitwise."""
    stack: list[bool] = []
    for step in steps:
        operands = [stack.pop() for _ in range(step.arity)]
        compares = step.value in (*COMPARISONS, *LOGIC_ROOT.values())
        joins_booleans = step.value in LOGIC_NUMEXPR.values() and all(operands)
        stack.append(step.kind == "operator" and (compares or joins_booleans))
    return stack.pop()
