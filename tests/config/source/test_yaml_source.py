import math
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.source.yaml_source import MAX_BYTES, Node, Place, parse_yaml, read_yaml
from tauopt.config.source.yaml_text import to_text
from tauopt.errors import ConfigError


def plain(text):
    node, problems = parse_yaml(text, file="x")
    assert not problems
    return node.plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1.0E3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-3", -3), ("010", 10),
        ("0x1F", 31), ("0o17", 15), ("true", True), ("False", False), ("null", None), ("~", None),
        ("1p0n", "1p0n"), ("yes", "yes"), ("on", "on"), ("No", "No"), ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"), ("1_000", "1_000"), ("'1'", "1"), ('"true"', "true"),
        ("-", "-"), ("1e", "1e"), (".", "."), ("", None),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    assert plain(f"key: {text}\n" if text != "-" else "key: '-'") == {"key": value}


def test_infinities_and_nan_are_numbers():
    low, high, nan = plain("[-.inf, .inf, .nan]")
    assert (low, high) == (-math.inf, math.inf)
    assert math.isnan(nan)


def test_every_key_and_value_has_its_place():
    node, _ = parse_yaml("a:\n  é: [1, {b: 2}]\n", file="f.yaml")
    assert node.keys["a"] == Place("f.yaml", 1, 1)
    inner = node.entries["a"]
    assert (inner.keys["é"].line, inner.keys["é"].column) == (2, 3)
    number, mapping = inner.entries["é"].value
    assert (number.place.line, number.place.column) == (2, 7)
    assert mapping.entries["b"].place == Place("f.yaml", 2, 14)


def test_an_alias_stands_for_its_anchor():
    assert plain("a: &x [1, 2]\nb: *x\n") == {"a": (1, 2), "b": (1, 2)}


@pytest.mark.parametrize("implicit", ["CSafeLoader", "SafeLoader"])
def test_both_parsers_of_pyyaml_give_the_same_nodes(implicit, monkeypatch):
    text = "a: {b: [1, 'x', &q 2, *q]}\nc: |\n  text\n"
    expected, _ = parse_yaml(text, file="f")
    monkeypatch.setattr(yaml, "CSafeLoader", getattr(yaml, implicit))
    assert parse_yaml(text, file="f")[0] == expected


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "bomb": BOMB,
    "ten_megabytes": "a: " + "x" * 10_000_000,
    "tag": "a: !!python/object/apply:os.system [x]\n" + "b: 1\n",
    "deep_list": "[" * 400_000,
    "deep_mapping": "{a: " * 200_000,
    "wide": "a: [" + "1," * 400_000 + "]",
    "many_keys": "".join(f"k{i}: 1\n" for i in range(90_000)),
    "long_number": "a: " + "9" * 900_000,
    "recursive": "a: &a {b: *a}\n",
    "nul": "a: \0\n",
    "open_quote": "a: '" + "x\n" * 400_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_less_than_a_second(name, tmp_path):
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name])
    before = time.process_time()
    try:
        problems = read_yaml(path)[1]
    except ConfigError as error:
        problems = list(error.problems)
    assert time.process_time() - before < 1.0
    assert problems or name == "long_number"


def test_a_file_of_the_largest_size_is_read(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("a: " + "x" * (MAX_BYTES - 3))
    assert len(read_yaml(path)[0].entries["a"].value) == MAX_BYTES - 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: \xff\n", "not UTF-8"), (b"", "got nothing"), (b"- 1\n", "a list of 1")],
)
def test_a_file_that_is_not_a_mapping_in_utf8_is_refused(tmp_path, content, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path)
    assert caught.value.problems[0].line == 1


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError):
        read_yaml("a\0b")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["1e5", "0o7", "yes", "on", "null", "~", "1p0n", "1_0", "<<", "=", "0x1", ""]),
)  # fmt: skip
keys = st.text("abcz01 .:-'\"\n", min_size=1, max_size=6).filter(lambda key: key != "<<")
trees = st.recursive(
    scalars,
    lambda part: st.one_of(
        st.lists(part, max_size=4).map(tuple), st.dictionaries(keys, part, max_size=4)
    ),
    max_leaves=12,
)


def node_of(value):
    nowhere = Place("")
    if isinstance(value, dict):
        return Node({key: node_of(part) for key, part in value.items()}, nowhere)
    if isinstance(value, tuple):
        return Node(tuple(map(node_of, value)), nowhere)
    return Node(value, nowhere)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(keys, trees, max_size=4))
def test_written_yaml_reads_back_the_same(value):
    text = to_text(node_of(value))
    assert plain(text) == value
    assert str(plain(text)) == str(value)  # 1, 1.0 and True are equal but not the same
