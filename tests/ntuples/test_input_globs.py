"""Globs and digests of input files."""

import glob
import os

import pytest

from tauopt.errors import DataError
from tauopt.ntuples import input_digests, input_globs


def _make(folder, *names):
    for name in names:
        (folder / name).write_bytes(name.encode())


def test_globs_are_sorted_and_each_file_comes_once(tmp_path):
    _make(tmp_path, "b.root", "a.root", "c.txt")
    globs = [f"{tmp_path}/b*.root", f"{tmp_path}/*.root"]
    assert [path.name for path in input_globs.expand(globs)] == ["a.root", "b.root"]
    assert input_globs.expand(globs) == input_globs.expand(globs[::-1])


def test_a_numbered_name_stands_for_all_numbers_in_their_order(tmp_path):
    _make(tmp_path, "a_10.h5", "a_2.h5", "a_1.h5", "a_x.h5", "a_.h5", "a_1.h5.bak", "b_1.h5")
    names = [path.name for path in input_globs.expand([f"{tmp_path}/a_%d.h5"])]
    assert names == ["a_1.h5", "a_2.h5", "a_10.h5"]
    names = [path.name for path in input_globs.expand([f"{tmp_path}/?_%d.h5*"])]
    assert names == ["a_1.h5", "a_1.h5.bak", "a_2.h5", "a_10.h5", "b_1.h5"]


def test_only_digits_are_sorted_by_value(tmp_path):
    _make(tmp_path, "a1²3.root", "a1²20.root")
    names = [path.name for path in input_globs.expand([f"{tmp_path}/*.root"])]
    assert names == ["a1²3.root", "a1²20.root"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{}/b.root", r"no such file \(did you mean 'a.root'\?\)"),
        ("{}/none/*.root", "there is no folder"),
        ("root://host/{}/a.root", "only local files"),
    ],
)
def test_glob_without_a_file_is_an_error(tmp_path, pattern, message):
    _make(tmp_path, "a.root")
    with pytest.raises(DataError, match=message):
        input_globs.expand([f"{tmp_path}/a.root", pattern.format(tmp_path)])


def test_brackets_are_literal_in_the_name_of_an_existing_file(tmp_path):
    folder = tmp_path / "user[2].x"
    folder.mkdir()
    _make(folder, "a[1].root", "b?.root", "c[x]_1.root", "c[x]_2.root")
    for name in ("a[1].root", "b?.root", "a[[]1].root"):
        (path,) = input_globs.expand([f"{folder}/{name}"])
        assert path.name == name.replace("[[]", "[")
    assert len(input_globs.expand([f"{folder}/*.root"])) == 4
    assert len(input_globs.expand([f"{tmp_path}/user*/c[[]x]_%d.root"])) == 2
    assert len(input_globs.expand([f"{glob.escape(str(folder))}/a[1].root"])) == 1
    assert len(input_globs.expand([f"{tmp_path}/*/a[1].root"])) == 1


def test_brackets_are_a_class_of_characters_where_no_file_has_them(tmp_path):
    _make(tmp_path, "a1.root", "a2.root", "a3.root")
    names = [path.name for path in input_globs.expand([f"{tmp_path}/a[12].root"])]
    assert names == ["a1.root", "a2.root"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{}/x.root", r"x.root: is a folder, expected files; name those in it, .*/x.root/\*"),
        ("{}/jet_*.root", r"no such file; the folder holds 'b\[1\]_1.root', 'tau_12.root', "),
        ("{}/b[1]_*.root", r"write 'b\[\[\]1\]_\*.root'"),
        ("{}/jet_%d.root", "no such file; the folder holds"),
        ("{}/x.root/*.root", "no such file; the folder holds nothing"),
        ("{}/tau_13.root", r"did you mean 'tau_12.root'"),
        ("{}/no*/a.root", "there is no folder"),
    ],
)
def test_the_error_of_a_pattern_without_matches_has_a_remedy(tmp_path, pattern, message):
    _make(tmp_path, "tau_12.root", "b[1]_1.root")
    (tmp_path / "x.root").mkdir()
    with pytest.raises(DataError, match=message) as caught:
        input_globs.expand([pattern.format(tmp_path)])
    if "jet_" in pattern:
        assert "did you mean" not in str(caught.value)


def test_relative_names_are_looked_for_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _make(tmp_path, "a[1].root")
    assert input_globs.expand(["a[1].root"]) == (tmp_path / "a[1].root",)
    with pytest.raises(DataError, match=r"the folder holds 'a\[1\].root'"):
        input_globs.expand(["a[2].root"])
    with pytest.raises(DataError, match="did you mean"):
        input_globs.expand(["a1.root"])


def test_digest_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.root", tmp_path / "cache"
    path.write_bytes(b"one")
    monkeypatch.setattr(input_digests, "_RACY_NS", -1)
    first, _ = input_digests.digest(path, cache=cache)
    monkeypatch.setattr(input_digests.durable, "sha256_file", lambda path: "read again")
    assert input_digests.digest(path, cache=cache)[0] == first
    path.write_bytes(b"two")
    assert input_digests.digest(path, cache=cache)[0] == "read again"


def test_digest_of_a_young_file_is_not_remembered(tmp_path):
    path, cache = tmp_path / "a.root", tmp_path / "cache"
    path.write_bytes(b"one")
    first, seen = input_digests.digest(path, cache=cache)
    path.write_bytes(b"two")
    os.utime(path, ns=(seen.modified_ns, seen.modified_ns))
    assert input_digests.digest(path, cache=cache)[0] != first


def test_a_damaged_cache_entry_is_computed_again(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.root", tmp_path / "cache"
    path.write_bytes(b"one")
    monkeypatch.setattr(input_digests, "_RACY_NS", -1)
    first, _ = input_digests.digest(path, cache=cache)
    for entry in cache.iterdir():
        entry.write_text("{")
    assert input_digests.digest(path, cache=cache)[0] == first


def test_file_that_changes_while_read_is_an_error(tmp_path):
    path = tmp_path / "a.root"
    path.write_bytes(b"one")
    before = input_globs.signature(path)
    input_digests.check_unchanged(path, before)
    path.write_bytes(b"longer")
    with pytest.raises(DataError, match="changed while it was read"):
        input_digests.check_unchanged(path, before)
    path.unlink()
    with pytest.raises(DataError, match="changed while it was read"):
        input_digests.check_unchanged(path, before)
