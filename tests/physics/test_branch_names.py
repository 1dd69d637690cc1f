"""Any branch can be named in an expression: as it is, or in backticks."""

import keyword

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.physics.branch_names import nearest_branch, quote
from tauopt.physics.expressions import ExpressionError, parse

FOREIGN = ["AuxDyn:pt", "evt/pt", "Jet#0.index", "arr[10]", "6dVec", "spaß", "a b", "c`d", "x::y"]


@pytest.mark.parametrize("name", [*FOREIGN, "`", "+", "1e5", "pi", "inf", "Jet.class", "x.1", "π"])
def test_a_name_that_is_no_identifier_is_read_in_backticks(name):
    quoted = quote(name)
    assert quoted.startswith("`")
    assert parse(quoted).branches == (name,)
    both = parse(f"2 * {quoted} - {quoted} > pt && {quoted}")
    assert both.branches == (name, "pt")
    columns = {name: np.array([1.0, 3.0]), "pt": np.array([2.0, 2.0])}
    assert both.mask(columns).tolist() == [False, True]


@pytest.mark.parametrize(
    "name", ["pt", "Taus.pt", "_x1", "tau", "sqrt", "tauopt_score", "infinity"]
)
def test_an_identifier_needs_no_backticks(name):
    assert quote(name) == name
    assert parse(name).branches == (name,)


@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1))
@settings(max_examples=100, deadline=None)
def test_every_printable_name_comes_back(name):
    assert parse(quote(name)).branches == (name,)


@given(st.sampled_from(keyword.kwlist))
@settings(max_examples=20, deadline=None)
def test_words_of_python_come_back(name):
    assert parse(quote(name)).branches == (name,)


def test_both_dialects_have_backticks():
    assert parse("(`a/b` > 1) & (`c:d` < 2)").branches == ("a/b", "c:d")
    assert parse("`a/b`[0] * Sum$(`a/b`)").branches == ("a/b",)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("x + `a:b", "not closed", 5),
        ("``", "not closed", 1),
        ("Jet.`a:b`", "around the whole name", 5),
        ("`a:b`c", "around the whole name", 1),
        ("`a:b`(1)", "not a function", 1),
        ("`a\tb`", "unexpected character", 3),
        ("`a:b` + `c` >> 1", "unexpected '>'", 14),
        ("sqrt(`a:b`, 1)", "sqrt takes 1 arguments", 0),
        ("`a:b` `c:d`", "unexpected '`c:d`'", 7),
    ],
)
def test_an_error_in_backticks_names_its_column_in_the_text(text, message, position):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "text", ["AuxDyn:pt", "Jet#0.x", "6dVec > 1", "spaß", "a::b", "x.class", "x.1"]
)
def test_the_error_of_a_name_that_lacks_backticks_mentions_them(text):
    with pytest.raises(ExpressionError, match="written in backticks"):
        parse(text)


def test_hints_have_the_backticks_that_an_expression_needs():
    assert (
        nearest_branch("evt", ["evt/fXvtx", "eta"]) == " (did you mean `evt/fXvtx`, in backticks?)"
    )
    assert nearest_branch("arr", ["arr[10]"]) == " (did you mean `arr[10]`, in backticks?)"
    assert (
        nearest_branch("AuxDyn:pz", ["AuxDyn:pt"]) == " (did you mean `AuxDyn:pt`, in backticks?)"
    )
    assert nearest_branch("Taus.pz", ["Taus.pt"]) == " (did you mean 'Taus.pt'?)"
    assert nearest_branch("nothing", ["Taus.pt"]) == ""
