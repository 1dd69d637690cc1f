"""The same candidates prepared from every format give the same candidates."""

import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.prepare import direct_streaming
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import (
    columns,
    dataset,
    dataset_settings,
    write_feather,
    write_parquet,
    write_rntuple,
    write_structured,
    write_trees,
    write_variables,
)
from tests.prepare.test_prepare_dataset import candidates

WRITERS = {
    "rntuple": (write_rntuple, "root"),
    "structured": (write_structured, "h5"),
    "variables": (write_variables, "h5"),
    "parquet": (write_parquet, "parquet"),
    "feather": (write_feather, "feather"),
}


def prepared(folder, suffix, cache, **changes):
    return open_dataset(prepare(dataset(folder, suffix=suffix, **changes), cache=cache))


@pytest.fixture(scope="module")
def from_root(ntuples, tmp_path_factory):
    return prepared(ntuples, "root", tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_candidates_and_constants(name, contents, from_root, tmp_path):
    write, suffix = WRITERS[name]
    for number, content in enumerate(contents):
        write(tmp_path / f"part_{number}.{suffix}", content)
    found = prepared(tmp_path, suffix, tmp_path / "cache")
    assert candidates(found) == candidates(from_root)
    found.verify()
    for one, other in zip(
        [found.manifest.candidate, *found.manifest.groups],
        [from_root.manifest.candidate, *from_root.manifest.groups],
        strict=True,
    ):
        for mine, theirs in zip(one.features, other.features, strict=True):
            assert mine.name == theirs.name
            assert mine.shift == pytest.approx(theirs.shift, rel=1e-6)
            assert mine.spread == pytest.approx(theirs.spread, rel=1e-6)


def test_friends_give_the_same_candidates_and_count_in_the_digest(contents, from_root, tmp_path):
    folder = tmp_path / "friends"
    folder.mkdir()
    for number, content in enumerate(contents):
        tracks = {name: v for name, v in content.items() if name.startswith("track")}
        own = {name: v for name, v in content.items() if name not in tracks}
        write_trees(folder / f"{number}.root", candidates=own, tracks=tracks, more=tracks)
    samples = dataset_settings(folder)["samples"]
    found = [
        prepared(folder, "root", tmp_path, samples={"all": samples["all"] | {"friends": [friend]}})
        for friend in ("tracks", "more")
    ]
    assert candidates(found[0]) == candidates(from_root)
    assert found[0].manifest.digest != found[1].manifest.digest


@pytest.mark.parametrize("name", ["rntuple", "structured", "variables"])
def test_what_can_begin_anywhere_streams_directly(name, contents, from_root, tmp_path):
    write, suffix = WRITERS[name]
    for number, content in enumerate(contents):
        write(tmp_path / f"part_{number}.{suffix}", content)
    settings = dataset(tmp_path, suffix=suffix, stream="direct")
    found = direct_streaming.open_dataset(prepare(settings, cache=tmp_path / "cache"))
    assert candidates(found) == candidates(from_root)


def test_friends_stream_directly(contents, from_root, tmp_path):
    for number, content in enumerate(contents):
        tracks = {name: v for name, v in content.items() if name.startswith("track")}
        own = {name: v for name, v in content.items() if name not in tracks}
        write_trees(tmp_path / f"{number}.root", candidates=own, tracks=tracks)
    sample = dataset_settings(tmp_path)["samples"]["all"] | {"friends": ["tracks"]}
    settings = dataset(tmp_path, samples={"all": sample}, stream="direct")
    found = direct_streaming.open_dataset(prepare(settings, cache=tmp_path / "cache"))
    assert candidates(found) == candidates(from_root)


def test_a_format_that_is_read_from_the_beginning_only_does_not_stream_directly(tmp_path):
    write_parquet(tmp_path / "a.parquet", columns(50))
    settings = dataset(tmp_path, suffix="parquet", stream="direct")
    with pytest.raises(DataError, match=r"a\.parquet: `stream: direct` needs files"):
        prepare(settings, cache=tmp_path / "cache")
