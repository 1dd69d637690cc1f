"""The parts of a condition that must all hold, so that each can be counted by itself."""

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
        the parts in order, all of which hold where `condition` does; `condition` itself where it
        is no conjunction.
    """
    for symbol, conjunction in (("&&", LOGIC_ROOT["and"]), ("&", LOGIC_NUMEXPR["and"])):
        try:
            first, *others = [parse(text) for text in _split(condition.text, symbol)]
        except ExpressionError:  # half of something that `symbol` does not split
            continue
        steps = first.steps
        for part in others:
            steps += (*part.steps, ExpressionStep("operator", conjunction, 2))
        sound = symbol == "&&" or all(_is_condition(part.steps) for part in (first, *others))
        if others and sound and steps == condition.steps:  # as `||` binds less than `&&`
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


def _is_condition(steps: Sequence[ExpressionStep]) -> bool:
    """Say whether an expression is true or false, and no number of which `&` takes bits."""
    stack: list[bool] = []
    for step in steps:
        operands = [stack.pop() for _ in range(step.arity)]
        truth = step.value in (*COMPARISONS, *LOGIC_ROOT.values())
        of_truths = step.value in LOGIC_NUMEXPR.values() and all(operands)
        stack.append(step.kind == "operator" and (truth or of_truths))
    return stack.pop()
