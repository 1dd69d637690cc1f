"""Expressions: both dialects, C++ truth, jagged against scalar, and clear errors."""

import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.errors import DataError
from tauopt.physics.expressions import ExpressionError, branches_of, parse
from tauopt.physics.jagged import Jagged

COLUMNS = {
    "n": np.array([0, 1, 2], dtype=np.uint8),
    "m": np.array([-5, 7, 2], dtype=np.int32),
    "x": np.array([1.5, 2.5, -1.0], dtype=np.float32),
    "tau": np.array([7, 8, 9]),
    "Taus.pt": np.array([10.0, 20.0, 30.0]),
    "j": ak.Array([[1.0, 2.0], [], [3.0]]),
    "k": ak.Array([[1], [2, 3], []]),
    "fixed": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
}


def evaluate(text):
    return parse(text).evaluate(COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!n", [True, False, False]),
        ("n && m", [False, True, True]),
        ("n || 0", [False, True, True]),
        ("!(n == 1) && x > 0", [True, False, False]),
        ("n - 3", [-3, -2, -1]),
        ("m % 4", [-1, 3, 2]),
        ("n / 2", [0, 0.5, 1]),
        ("-x**2", [-2.25, -6.25, -1]),
        ("x**2", [2.25, 6.25, 1]),
        ("(n > 0) + (m > 0)", [0, 2, 2]),
        ("(n & 1) == 1", [False, True, False]),
        ("~(n > 0) | (x < 0)", [True, False, True]),
        ("where(n > 0, x, 9)", [9, 2.5, -1]),
        ("min(n, 1)", [0, 1, 1]),
        ("TMath::Max(n, 1)", [1, 1, 2]),
        ("abs(m)", [5, 7, 2]),
        ("TMath::Abs(x)", [1.5, 2.5, 1]),
        ("log10(Taus.pt / 10)", np.log10([1, 2, 3])),
        ("tau + 1", [8, 9, 10]),
        ("TMath::TwoPi() + 0 * n", [2 * math.pi] * 3),
        ("pi", [math.pi] * 3),
        ("1", [1, 1, 1]),
        ("Length$(j)", [2, 0, 1]),
        ("Sum$(j > 1)", [1, 0, 1]),
        ("sum(j)", [3, 0, 3]),
        ("fixed[1]", [2, 4, 6]),
    ],
)
def test_value_of_an_expression(text, expected):
    np.testing.assert_allclose(evaluate(text), expected)


def test_scalars_are_repeated_for_each_object():
    assert evaluate("j / x").tolist() == [[1 / 1.5, 2 / 1.5], [], [-3.0]]
    assert evaluate("j > 1 && n").tolist() == [[False, False], [], [True]]
    assert evaluate("fixed * n").tolist() == [[0, 0], [3, 4], [10, 12]]
    assert evaluate("where(j > 1, n, -1)").tolist() == [[-1, 0], [], [2]]


def test_missing_objects_are_nan():
    np.testing.assert_array_equal(evaluate("j[0]"), [1, np.nan, 3])
    np.testing.assert_array_equal(evaluate("Max$(j)"), [2, np.nan, 3])


def test_lone_branch_keeps_its_type():
    assert evaluate("x").dtype == np.float32
    assert evaluate("n").dtype == np.uint8


def test_large_unsigned_event_numbers_are_exact():
    columns = {"event": np.array([2**63 + 1, 2**53 + 1], dtype=np.uint64)}
    assert parse("event % 10").evaluate(columns).tolist() == [9, 3]


def test_mask_is_boolean_for_every_type():
    assert parse("n").mask(COLUMNS).tolist() == [False, True, True]
    assert parse("1").mask({}, entries=2).tolist() == [True, True]
    with pytest.raises(DataError, match="value for each object"):
        parse("j > 1").mask(COLUMNS)


def test_evaluate_flat_gives_content_and_offsets():
    result = parse("j * 2").evaluate_flat(COLUMNS)
    assert isinstance(result, Jagged)
    assert result.content.tolist() == [2, 4, 6]
    assert result.offsets.tolist() == [0, 2, 2, 3]
    assert parse("j + 1").evaluate_flat({"j": result}).content.tolist() == [3, 5, 7]


def test_branches_are_listed_once_in_order():
    assert parse("b + a > b && Taus.pt").branches == ("b", "a", "Taus.pt")
    assert branches_of([parse("b + a"), parse("a + c")]) == ("b", "a", "c")
    assert parse("tau * TMath::Pi()").branches == ("tau",)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("a >> 1", "unexpected '>'", 4),
        ("(a > 1) & (b > 1) || c", "unexpected", 20),
        ("a > 1 and b", "Write &&", 7),
        ("a ^ 2", "write ** or !=", 3),
        ("a = 1", "unexpected '='", 3),
        ("a +", "ends too early", 0),
        ("fabs(a)", "did you mean 'abs'", 0),
        ("sqr(a)", "did you mean 'sqrt'", 0),
        ("erf(a)", "not supported", 0),
        ("sqrt(a, b)", "takes 1 arguments, got 2", 0),
        ("a < b < c", "chained", 0),
        ("a : b", "expected one", 0),
        ("a[1][2]", "only one index", 0),
        ("pt\u200b > 1", "unexpected character", 3),
        ("", "empty", 0),
        ("a" * 30_000, "longer than", 0),
        ("__import__('os')", "unexpected", 12),
        ("a if b else c", "unexpected", 3),
    ],
)
def test_an_invalid_text_is_refused_with_its_column(text, message, position):
    with pytest.raises(ExpressionError, match="expression") as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.position == position
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("missing > 1", "no branch 'missing'"),
        ("Taus.pz", "did you mean 'Taus.pt'"),
        ("j + k", "candidate 0 has 2 objects in one and 1 in the other"),
        ("~n", "write `x == 0`"),
        ("x & n", "needs conditions or integers"),
        ("n[0]", "several values"),
        ("Sum$(n)", "several values"),
        ("j[n]", "constant integer"),
        ("m % 0", "division by zero"),
        ("deep", "one or a list of them"),
        ("text", "expected numbers"),
    ],
)
def test_the_error_of_an_evaluation_names_the_cause(text, message):
    columns = {**COLUMNS, "deep": ak.Array([[[1]], [], []]), "text": ak.Array(["a", "b", "c"])}
    with pytest.raises(DataError) as caught:
        parse(text).evaluate(columns)
    assert message in str(caught.value)


def test_thousand_terms_do_not_exhaust_the_stack():
    assert parse("+".join(["n"] * 3000)).evaluate(COLUMNS).tolist() == [0, 3000, 6000]


# A slow, obvious reference: random trees, evaluated one candidate at a time in Python.

_LEAVES = st.sampled_from(["i", "b", "f", "2", "3", "0.5"])


def _combine(children):
    binary = st.tuples(st.sampled_from(["+", "-", "*", "<", ">=", "==", "&&", "||"]), children)
    return st.one_of(
        st.tuples(binary, children).map(lambda t: ("binary", t[0][0], t[0][1], t[1])),
        children.map(lambda t: ("unary", "!", t)),
        children.map(lambda t: ("unary", "-", t)),
        st.tuples(children, children, children).map(lambda t: ("where", *t)),
    )


def _text(tree):
    if isinstance(tree, str):
        return tree
    if tree[0] == "binary":
        text = f"({_text(tree[2])} {tree[1]} {_text(tree[3])})"
        return f"({text} + 0)" if tree[1] in ("<", ">=") else text  # chains are refused
    if tree[0] == "unary":
        return f"({tree[1]}{_text(tree[2])})"
    return f"where({', '.join(_text(part) for part in tree[1:])})"


def _slow(tree, row):
    if isinstance(tree, str):
        return row[tree] if tree in row else float(tree)
    values = [_slow(part, row) for part in tree[1:] if not (isinstance(part, str) and part in _OPS)]
    if tree[0] == "where":
        return values[1] if values[0] != 0 else values[2]
    return float(_OPS[tree[1]](*values)) if tree[0] == "binary" else _slow_unary(tree[1], values[0])


def _slow_unary(operator, value):
    return float(value == 0) if operator == "!" else -value


_OPS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "&&": lambda a, b: a != 0 and b != 0,
    "||": lambda a, b: a != 0 or b != 0,
    "!": None,
}


@settings(deadline=None, max_examples=80)
@given(st.recursive(_LEAVES, _combine, max_leaves=8), st.integers(0, 2**31))
def test_agrees_with_a_slow_reference(tree, seed):
    rng = np.random.default_rng(seed)
    rows = 5
    columns = {
        "i": rng.integers(-2, 3, rows).astype(np.int8),
        "b": rng.integers(0, 2, rows).astype(bool),
        "f": rng.integers(-4, 5, rows).astype(np.float32) / 2,
    }
    result = parse(_text(tree)).evaluate(columns)
    expected = [
        _slow(tree, {name: float(values[row]) for name, values in columns.items()})
        for row in range(rows)
    ]
    np.testing.assert_allclose(result.astype(float), expected)
