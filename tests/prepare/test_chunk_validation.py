"""Validation of chunks: shuffled ones pass at the stated rate, others are refused by name."""

import json
import math
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tauopt import durable
from tauopt.cli import validate_data as command
from tauopt.dataset.manifest import ChunkFile, read_manifest, write_manifest
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import CorruptError, DataError
from tauopt.physics.jagged import Jagged
from tauopt.prepare import first_pass as module
from tauopt.prepare.chunk_histograms import MOST_OBJECTS, ChunkHistograms, ColumnNames
from tauopt.prepare.chunk_validation import LEVEL, compare
from tauopt.prepare.prepare_dataset import prepare
from tauopt.workflows.validate_data import validate_data
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_spill_files import make_block
from tests.prepared_factory import (
    CANDIDATE,
    GROUPS,
    SPECTATORS,
    prepared_dataset,
    random_candidates,
    take,
)

NAMES = ColumnNames(tuple(CANDIDATE), {"tracks": tuple(GROUPS["tracks"])}, SPECTATORS)


class Arrays:
    """What `random_candidates` gives, as attributes."""

    def __init__(self, arrays):
        self.__dict__.update(arrays)


def some(rng, count, order=None):
    """Return random candidates, sorted by `order` if it is given."""
    arrays = random_candidates(rng, count, groups=["tracks"])
    rows = rng.permutation(count) if order is None else np.argsort(order(arrays), kind="stable")
    return take(arrays, rows, ["tracks"])


def tallied(arrays, chunks):
    tally = ChunkHistograms("train", NAMES, chunks=chunks)
    for number, rows in enumerate(np.array_split(np.arange(len(arrays["labels"])), chunks)):
        tally.add(f"train-{number:05d}", Arrays(take(arrays, rows, ["tracks"])))
    return compare([tally])


def test_shuffled_sets_fail_at_the_stated_rate_and_uncorrected_tests_would_nearly_always():
    """Mistake 9 of the systems before: a hundred tests at 5 % are five false alarms."""
    rng = np.random.default_rng(7)
    sets, failed, uncorrected = 120, 0, 0
    for _ in range(sets):
        found = tallied(some(rng, 1500), 5)
        failed += found.smallest < 0.05
        found.check("a shuffled set")
        uncorrected += any(one.p < 0.05 for one in found.comparisons)
        assert "weighted Kolmogorov-Smirnov" in {one.test for one in found.comparisons}
    assert len(found.comparisons) > 150
    assert uncorrected > 0.9 * sets
    assert failed <= sets * 0.05 + 3 * math.sqrt(sets * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("order", "variable"),
    [
        (lambda a: a["event_numbers"], "event_numbers"),
        (lambda a: a["labels"], "class"),
        (lambda a: a["weights"], "weights"),
        (lambda a: a["spectators"][:, 0], "spectators.pt"),
        (lambda a: np.diff(a["groups"]["tracks"][1]), "number of tracks"),
        (lambda a: _summed(a, 0), "tracks.pt of a further object"),
    ],
)
def test_chunks_ordered_by_a_variable_fail_in_that_variable(order, variable):
    found = tallied(some(np.random.default_rng(1), 3000, order), 5)
    assert found.failures[0].adjusted < 1e-12
    assert variable in {one.variable for one in found.failures}
    with pytest.raises(DataError, match=r"train-0000\d, .* p = "):
        found.check("an ordered set")


def _summed(arrays, column):
    """Sum a feature over the tracks of each candidate, candidate by candidate."""
    values, offsets = arrays["groups"]["tracks"]
    return [values[i:j, column].sum() for i, j in pairwise(offsets)]


def test_further_objects_are_compared_as_well_as_the_first():
    """In one chunk all tracks but the leading one have a larger d0."""
    arrays = some(np.random.default_rng(4), 8000)
    values, offsets = arrays["groups"]["tracks"]
    inside = (np.arange(len(values)) >= offsets[3000]) & (np.arange(len(values)) < offsets[4000])
    inside[offsets[:-1]] = False
    values[inside, 1] += 0.1
    failures = tallied(arrays, 8).failures
    assert failures[0].part == "train-00003"
    assert {one.variable for one in failures} == {"tracks.d0 of a further object"}


def test_order_in_pt_and_eta_together_fails_where_each_alone_is_random():
    def parity(arrays):
        pt, eta = (np.argsort(np.argsort(arrays["spectators"][:, i])) for i in (0, 1))
        half = len(pt) / 2
        return ((pt < half) == (eta < half)) + np.random.default_rng(2).normal(0, 0.5, len(pt))

    found = tallied(some(np.random.default_rng(1), 6000, parity), 4)
    assert {one.variable for one in found.failures} == {"pt and eta"}


@pytest.mark.parametrize(("candidate", "spectators"), [((), ("eta", "pt")), (("pt", "eta"), ())])
def test_pt_and_eta_are_found_among_features_too(candidate, spectators):
    tally = ChunkHistograms("train", ColumnNames(candidate, {}, spectators), chunks=4)
    rng = np.random.default_rng(1)
    for number in range(4):
        values = rng.normal(size=(500, 2)).astype(np.float32)
        values[:, 1] = np.abs(values[:, 1]) * np.sign(values[:, 0]) * (-1) ** number
        block = replace(make_block(500), groups={})
        tally.add(str(number), replace(block, candidate=values, spectators=values))
    assert compare([tally]).failures[0].variable == "pt and eta"


def test_one_chunk_in_order_is_compared_with_itself_in_parts():
    found = tallied(some(np.random.default_rng(1), 3000, lambda a: a["event_numbers"]), 1)
    assert found.sizes["train"] == {f"train-00000 part {i} of 4": 750 for i in (1, 2, 3, 4)}
    assert {one.variable for one in found.failures} == {"event_numbers"}


def test_one_deviating_chunk_of_many_is_named():
    rng = np.random.default_rng(3)
    arrays = some(rng, 8000)
    arrays["spectators"][3000:4000, 1] *= 0.8  # eta
    failures = tallied(arrays, 8).failures
    assert failures[0].part == "train-00003"
    assert {one.variable for one in failures} == {"spectators.eta", "pt and eta"}


def test_samples_are_a_category_where_they_are_known():
    tally = ChunkHistograms("train", ColumnNames(("a", "b"), {"tracks": ("x",)}, ()), chunks=4)
    for number in range(4):
        block = make_block(500, seed=number)
        tally.add(str(number), block, samples=np.full(500, number // 2))
    assert "sample" in {one.variable for one in compare([tally]).failures}


def test_many_objects_are_one_category():
    offsets = np.arange(0, 1001 * 1000, 1000)
    block = replace(
        make_block(1000), groups={"tracks": Jagged(np.zeros((offsets[-1], 1), np.float32), offsets)}
    )
    tally = ChunkHistograms("train", ColumnNames(("a", "b"), {"tracks": ("x",)}, ()), chunks=4)
    tally.add("0", block)
    assert len(tally._categories["number of tracks"][0]) == MOST_OBJECTS + 1


@pytest.fixture(scope="module")
def prepared(ntuples, tmp_path_factory):
    return open_dataset(prepare(dataset(ntuples), cache=tmp_path_factory.mktemp("cache")))


def test_report_stands_beside_the_chunks_with_its_digest(prepared):
    report = json.loads((prepared.folder / "validation.json").read_text())
    assert report["failures"] == []
    assert report["level"] == LEVEL
    assert report["tests"] > 100
    parts = report["splits"]["train"]["candidates"]
    assert list(parts) == [chunk.info.name for chunk in prepared.train.chunks]
    tests = report["splits"]["train"]["p"]
    # chunks of 90 are too small for the weighted test
    for variable in ("tracks.d0 of the first object", "tracks.d0 of a further object"):
        assert set(tests[variable]) == {"Kolmogorov-Smirnov"}
    assert set(tests["class"]) == {"chi-square"}
    assert "validation.json" in prepared.manifest.reports


def test_files_that_were_not_shuffled_are_refused(tmp_path, monkeypatch):
    for number in range(2):
        content = columns(1500, seed=number, first_event=1500 * number, tau=bool(number))
        write(tmp_path / "in" / f"{number}.root", content)
    settings = dataset(tmp_path / "in")
    real = module.read_blocks

    def in_order(*arguments):
        for block, entries in real(*arguments):
            yield (
                replace(block, keys=block.event_numbers.astype(np.uint64) << np.uint64(50)),
                entries,
            )

    monkeypatch.setattr(module, "read_blocks", in_order)
    with pytest.raises(DataError, match="not random samples of their split: train-00000, "):
        prepare(settings, cache=tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


def run(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    return CliRunner().invoke(app, ["validate-data", *map(str, arguments)])


def test_validate_data_finds_the_p_values_that_prepare_found(prepared):
    _, found = validate_data(prepared.folder)
    report = json.loads((prepared.folder / "validation.json").read_text())
    for split, kinds in found.plain()["splits"].items():
        stored = report["splits"][split]["p"]
        stored.pop("sample", None)  # a chunk does not say which sample a candidate is of
        assert set(kinds["p"]) == set(stored)
        for variable, tests in kinds["p"].items():
            for test, parts in tests.items():
                # weights are float32 on disk
                assert parts == pytest.approx(stored[variable][test], rel=1e-2)


def test_command_prints_and_writes_nothing_into_the_folder(prepared):
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")}
    result = run(prepared.folder)
    assert result.exit_code == 0, result.exception
    assert "after Holm's correction" in result.stdout
    assert json.loads(run(prepared.folder, "--json").stdout)["failures"] == []
    assert {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")} == before


def test_directly_streamed_chunks_are_slices_and_not_compared(ntuples, tmp_path):
    folder = prepare(dataset(ntuples, stream="direct"), cache=tmp_path)
    found, validation = validate_data(folder)
    assert found.is_direct
    assert not validation.comparisons
    assert "validation.json" not in found.manifest.reports
    assert "not compared" in run(folder).stdout


def test_damage_is_found_by_digest_before_any_statistics(prepared, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(prepared.folder, folder)
    path = folder / "train-00001" / "candidate.npy"
    content = bytearray(path.read_bytes())
    content[-4:] = b"\0\0\0\0"
    path.write_bytes(content)
    error = run(folder).exception
    assert isinstance(error, CorruptError)
    assert "train-00001/candidate.npy" in str(error)


def test_folder_made_by_hand_with_right_digests_is_refused(tmp_path):
    """Digests say that nothing changed since; only statistics say that it was wrong before."""
    folder = prepared_dataset(tmp_path, candidates=8000)
    validate_data(folder)[1].check("the toy")
    name = "train-00002"
    values = np.load(folder / name / "spectators.npy")
    values[:, 1] = np.abs(values[:, 1])
    np.save(folder / name / "spectators.npy", values)
    _sign_again(folder, name, "spectators.npy")
    error = run(folder).exception
    assert isinstance(error, DataError)
    assert error.exit_code == 3
    assert "train-00002, spectators.eta: " in str(error)


def _sign_again(folder, chunk, file):
    """Put the digest of a changed file into the manifest."""
    path = folder / chunk / file
    entry = ChunkFile(sha256=durable.sha256_file(path), bytes=path.stat().st_size)
    manifest = read_manifest(folder)
    train = manifest.splits["train"]
    chunks = tuple(
        info.model_copy(update={"files": {**info.files, file: entry}})
        if info.name == chunk else info
        for info in train.chunks
    )  # fmt: skip
    splits = {**manifest.splits, "train": train.model_copy(update={"chunks": chunks})}
    write_manifest(folder, manifest.model_copy(update={"splits": splits}))
