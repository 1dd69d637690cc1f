"""The contract of all sources, on the same candidates in every format."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.source import Seekable
from tauopt.physics.jagged import Jagged, to_awkward
from tests import ntuples_factory as factory
from tests.ntuples.damage import little_memory, mutate

ENTRIES = 500


@dataclass(frozen=True)
class Format:
    """How to write columns in one format."""

    suffix: str
    write: Callable[[Path, dict], Path]
    objects: bool = True
    """Whether it can hold lists."""

    @property
    def branches(self):
        scalars = ["pt", "event_number", "prongs"]
        return [*scalars, "track_pt", "track_d0"] if self.objects else scalars


FORMATS = {
    "root": Format("root", lambda path, content: factory.write(path, content, baskets=3)),
    "rntuple": Format("root", lambda path, content: factory.write_rntuple(path, content, parts=3)),
    "structured": Format(
        "h5", lambda path, content: factory.write_structured(path, content, parts=3)
    ),
    "variables": Format(
        "h5", lambda path, content: factory.write_variables(path, content, parts=3)
    ),
    "parquet": Format(
        "parquet", lambda path, content: factory.write_parquet(path, content, parts=3)
    ),
    "feather": Format(
        "feather", lambda path, content: factory.write_feather(path, content, parts=3)
    ),
    "pandas_table": Format("h5", factory.write_pandas_table, objects=False),
    "pandas_fixed": Format("h5", factory.write_pandas_fixed, objects=False),
}


@pytest.fixture(params=FORMATS)
def form(request):
    return FORMATS[request.param]


def source(path):
    return open_source(path, tree="candidates")


def make(form, path, content):
    return form.write(path.with_suffix(f".{form.suffix}"), content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return, for a format, a file of some candidates, its bytes, and its columns."""
    content, written = factory.columns(ENTRIES), {}

    def get(form):
        if id(form) not in written:
            path = make(form, tmp_path_factory.mktemp("whole") / "a", content)
            written[id(form)] = path, path.read_bytes()
        return (*written[id(form)], content)

    return get


def join(steps, name):
    parts = [step[name] for step in steps]
    if isinstance(parts[0], Jagged):
        return ak.concatenate([to_awkward(part) for part in parts]).to_list()
    return np.concatenate(parts).tolist()


def same(steps, content, branches):
    return all(join(steps, name) == content[name].tolist() for name in branches)


@pytest.mark.parametrize("step", [1000, 170, 500, 1])
def test_what_is_read_is_what_was_written(form, whole, step):
    path, _, content = whole(form)
    steps = list(source(path).iterate(form.branches, step=step))
    assert same(steps, content, form.branches)
    assert [len(part["pt"]) for part in steps[:-1]] == [step] * (len(steps) - 1)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 500), (100, 101), (150, 350), (499, 500), (7, 493)]
)
def test_random_access_gives_the_same_entries(form, whole, start, stop):
    path, _, content = whole(form)
    if not isinstance(source(path), Seekable):
        pytest.skip("is read from the beginning only")
    reader = source(path).open(form.branches)
    columns = reader.read(start, stop)
    assert same([columns], {name: v[start:stop] for name, v in content.items()}, form.branches)
    assert list(columns) == form.branches
    with pytest.raises(BadFileError, match="holds 500 entries, expected those from 400 to 600"):
        reader.read(400, 600)
    seams = reader.seams
    assert (seams[0], seams[-1]) == (0, 500)
    assert (np.diff(seams) > 0).all()


def test_one_open_file_serves_many_threads(form, whole):
    path, _, content = whole(form)
    if not isinstance(source(path), Seekable):
        pytest.skip("is read from the beginning only")
    reader, rng = source(path).open(form.branches), np.random.default_rng(5)
    ranges = [sorted(rng.choice(501, 2, replace=False).tolist()) for _ in range(60)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda ends: reader.read(*ends), ranges))
    for (start, stop), columns in zip(ranges, got, strict=True):
        assert same([columns], {n: v[start:stop] for n, v in content.items()}, form.branches)


def test_each_branch_keeps_its_kind_of_number(form, whole):
    path, _, content = whole(form)
    (columns,) = source(path).iterate(form.branches)
    for name in form.branches:
        values = columns[name]
        got = values.content.dtype if isinstance(values, Jagged) else values.dtype
        written = content[name]
        flat = written if isinstance(written, np.ndarray) else ak.to_numpy(ak.flatten(written))
        assert got == flat.dtype
        assert got.isnative


def test_the_header_gives_entries_and_kinds(form, whole):
    path, _, _ = whole(form)
    info = source(path).inspect(form.branches)
    assert info.entries == ENTRIES
    assert info.jagged == {name: name.startswith("track") for name in form.branches}
    assert all(info.types.values())
    listed = source(path).columns()
    assert {name.rpartition(".")[2] for name in listed} >= set(form.branches)
    for name, column in listed.items():
        assert column.entries == ENTRIES, name
    assert source(path).inspect(list(listed)).entries == ENTRIES


def test_missing_branches_are_named_with_neighbours_all_at_once(form, whole):
    path, _, _ = whole(form)
    for call in (lambda s, b: s.inspect(b), lambda s, b: list(s.iterate(b))):
        with pytest.raises(DataError) as caught:
            call(source(path), ["prong", "pt", "nothing_like_it"])
        text = str(caught.value)
        assert f"{path}: " in text
        assert "no branch 'prong' (did you mean 'prongs'?)" in text
        assert "no branch 'nothing_like_it'" in text
        assert not isinstance(caught.value, BadFileError)


def test_an_empty_file_has_no_entries(form, tmp_path):
    path = make(form, tmp_path / "empty", factory.columns(0))
    assert source(path).inspect(form.branches).entries == 0
    assert list(source(path).iterate(form.branches)) == []


def test_a_source_can_be_pickled(form, whole):
    path, _, content = whole(form)
    travelled = pickle.loads(pickle.dumps(source(path)))
    assert travelled == source(path)
    assert same(list(travelled.iterate(form.branches)), content, form.branches)


def read(path, form):
    """Read a file; return the steps, or the error message, which must name the file."""
    try:
        return list(source(path).iterate(form.branches, step=200)), ""
    except DataError as error:
        message = str(error)
    assert path.name in message
    return [], message


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_file_is_never_taken_for_a_whole_one(form, whole, tmp_path, fraction):
    _, data, content = whole(form)
    short = tmp_path / f"short.{form.suffix}"
    short.write_bytes(data[: int(len(data) * fraction)])
    steps, error = read(short, form)
    assert error or same(steps, content, form.branches)  # only what nobody needs was cut off


@pytest.mark.parametrize("data", [b"", b"x", b"no such format " * 300, bytes(4000)])
def test_the_error_of_a_file_of_another_format_names_it(form, tmp_path, data):
    path = tmp_path / f"no.{form.suffix}"
    path.write_bytes(data)
    with pytest.raises(BadFileError, match=rf"no\.{form.suffix}: "):
        source(path).inspect(form.branches)
    with pytest.raises(BadFileError, match=rf"gone\.{form.suffix}: "):
        source(tmp_path / f"gone.{form.suffix}").inspect(form.branches)


def check_damaged(form, whole, folder, *, files, seed):
    """Read mutated files: an error that names the file, or every entry."""
    _, data, _ = whole(form)
    rng = np.random.default_rng(seed)
    with little_memory():
        for number in range(files):
            path = folder / f"{number}.{form.suffix}"
            path.write_bytes(mutate(data, rng))
            steps, error = read(path, form)
            for name in form.branches:
                assert error or sum(length(step[name]) for step in steps) == ENTRIES
            path.unlink()


def length(column):
    return len(column.offsets) - 1 if isinstance(column, Jagged) else len(column)


def test_mutated_files_give_an_error_or_every_entry(form, whole, tmp_path):
    check_damaged(form, whole, tmp_path, files=40, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_five_thousand_mutated_files_give_an_error_or_every_entry(form, whole, tmp_path):
    check_damaged(form, whole, tmp_path, files=5000, seed=2)
