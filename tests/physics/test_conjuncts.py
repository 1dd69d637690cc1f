"""Conditions split into the parts that must all hold."""

import numpy as np
import pytest

from tauopt.physics.conjuncts import conjuncts
from tauopt.physics.expressions import parse


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a > 1 && b < 2 && c", ["a > 1", "b < 2", "c"]),
        ("a > 1 && (b < 2 || c) && `x && y` > 0", ["a > 1", "(b < 2 || c)", "`x && y` > 0"]),
        ("(a > 1) & ((b < 2) | (c == 0))", ["(a > 1)", "((b < 2) | (c == 0))"]),
        ("a > 1 || b < 2 && c", None),
        ("a > 1 && b < 2 || c", None),
        ("(a > 1 && b < 2)", None),
        ("(a) & (b)", None),
        ("(a & 3) & (b < 2)", None),
        ("a > 1", None),
    ],
)
def test_conjunctions_are_split_where_all_parts_must_hold(text, parts):
    condition = parse(text)
    got = conjuncts(condition)
    assert [part.text for part in got] == (parts or [text])
    rng = np.random.default_rng(1)
    columns = {name: rng.integers(0, 4, 200) for name in (*"abc", "x && y")}
    expected = condition.mask(columns)
    assert np.array_equal(np.all([part.mask(columns) for part in got], axis=0), expected)
