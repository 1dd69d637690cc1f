"""Direct streaming: the same candidates as prepared ones, read from the source files."""

import pickle
from functools import partial

import numpy as np
import pytest

from tauopt.config.settings.experiment import Task
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import open_dataset as open_prepared
from tauopt.errors import DataError
from tauopt.ntuples.root import RootTree
from tauopt.prepare.direct_streaming import open_dataset
from tauopt.prepare.out_of_core_shuffle import cut
from tauopt.prepare.prepare_dataset import prepare
from tauopt.prepare.running_statistics import RowSample
from tauopt.stream.batches import batches
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_prepare_dataset import candidates, slow

TASK = Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",))
SAMPLES = {
    "first": {"files": ["{}/0.root", "{}/1.root"], "weight": "weight", "classes": ["jet", "tau"]},
    "second": {"files": ["{}/2.root"], "weight": "weight", "classes": ["jet", "tau"]},
}


def settings(ntuples, **changes):
    samples = {
        name: {**sample, "files": [file.format(ntuples) for file in sample["files"]]}
        for name, sample in SAMPLES.items()
    }
    return dataset(ntuples, samples=samples, **changes)


@pytest.fixture(scope="module")
def direct(ntuples, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return open_dataset(prepare(settings(ntuples, stream="direct"), cache=cache))


def stream(opened, **changes):
    arguments = {"batch_size": 32, "seed": 1, "label_map": task_labels(("jet", "tau"), TASK)}
    spec = input_spec(opened.manifest, TASK, {"tracks": 4})
    return list(batches(opened.train, spec=spec, **(arguments | changes)))


def same(left, right):
    return len(left) == len(right) and all(
        np.array_equal(a.inputs[name], b.inputs[name]) and np.array_equal(a.weights, b.weights)
        for a, b in zip(left, right, strict=True)
        for name in a.inputs
    )


def test_candidates_are_those_of_the_slow_reference(direct, contents):
    assert candidates(direct) == slow(contents)
    direct.verify()


def test_selections_sortings_and_dropped_candidates_agree_with_copied_ones(tmp_path):
    content = columns(500)
    content["eta"][::7] = np.nan
    write(tmp_path / "in" / "a.root", content)
    changes = {"selection": "prongs == 1", "missing": "drop"}
    copied = prepare(dataset(tmp_path / "in", **changes), cache=tmp_path)
    read = prepare(dataset(tmp_path / "in", stream="direct", **changes), cache=tmp_path)
    assert candidates(open_dataset(read)) == candidates(open_prepared(copied))


def test_features_of_training_and_test_stay_in_the_files(direct):
    kept = {path.name for path in direct.folder.glob("validation-*/*.npy")}
    assert {"candidate.npy", "tracks.values.npy"} <= kept
    for split in ("train", "test"):
        light = {path.name for path in direct.folder.glob(f"{split}-*/*.npy")}
        assert light == {
            "labels.npy", "weights.npy", "event_numbers.npy", "spectators.npy",
            "files.npy", "entries.npy",
        }  # fmt: skip


def test_constants_and_spectra_are_those_of_copied_candidates(ntuples, tmp_path):
    changes = {"reweight": {"variable": "pt", "to": ["tau"], "bins": 4}}
    one = open_prepared(prepare(settings(ntuples, **changes), cache=tmp_path))
    other = open_dataset(prepare(settings(ntuples, stream="direct", **changes), cache=tmp_path))
    for a, b in zip(
        (one.manifest.candidate, *one.manifest.groups),
        (other.manifest.candidate, *other.manifest.groups),
        strict=True,
    ):
        for left, right in zip(a.features, b.features, strict=True):
            assert left.shift == pytest.approx(right.shift, rel=1e-9)
            assert left.spread == pytest.approx(right.spread, rel=1e-9)
    assert candidates(one) == candidates(other)


def test_quantiles_of_direct_and_prepared_streaming_are_those_of_the_same_sample(
    ntuples, tmp_path, monkeypatch
):
    monkeypatch.setattr("tauopt.prepare.constants.RowSample", partial(RowSample, most=150))
    robust = {"scale": "robust", "clip_quantiles": [0.05, 0.95]}
    groups = {"tracks": {"features": {"pt": {"expression": "track_pt", **robust}}}}
    changes = {"candidate": {"pt": robust, "eta": robust}, "groups": groups}
    one = open_prepared(prepare(settings(ntuples, **changes), cache=tmp_path))
    for step in (37, 1000):
        cache, direct = tmp_path / str(step), settings(ntuples, stream="direct", **changes)
        other = open_prepared(prepare(direct, cache=cache, step=step))
        assert other.manifest.candidate == one.manifest.candidate
        assert other.manifest.groups == one.manifest.groups
    assert one.manifest.candidate.features[0].clip is not None


def test_every_chunk_is_a_mixture_of_all_files(ntuples, tmp_path, monkeypatch):
    monkeypatch.setattr("tauopt.prepare.out_of_core_shuffle.SMALLEST_PIECE", 10)
    opened = open_dataset(prepare(settings(ntuples, stream="direct"), cache=tmp_path))
    assert len(opened.train.chunks) == 12
    for chunk in opened.train.chunks:
        files = np.bincount(chunk.event_numbers // 400, minlength=3)
        np.testing.assert_allclose(files, 20, atol=2)


def test_where_files_are_very_many_each_chunk_holds_some_of_each_sample(direct):
    """Files too small to be cut: whole ones are dealt to the chunks in turn."""
    samples = [set((chunk.event_numbers // 800).tolist()) for chunk in direct.train.chunks]
    assert samples == [{0, 1}, {0}]


def test_candidates_that_are_neighbours_in_a_file_are_spread_over_batches(ntuples, tmp_path):
    """Candidates of a sample stand together in a chunk; single ones are shuffled, not blocks."""
    cache = prepare(settings(ntuples, stream="direct", chunk_size=1200), cache=tmp_path)
    opened = open_dataset(cache)
    (chunk,) = opened.train.chunks
    is_second = dict(
        zip(chunk.features([]).candidate[:, 0], chunk.event_numbers >= 800, strict=True)
    )
    for batch in stream(opened, batch_size=180):
        second = sum(is_second[pt] for pt in batch.inputs["candidate"][:, 0])
        assert abs(second - 60) < 5 * np.sqrt(180 * 2 / 9)  # five standard deviations


def test_batches_begin_anywhere_and_do_not_depend_on_the_readers(direct):
    whole = stream(direct)
    assert sum(len(batch.labels) for batch in whole) == direct.train.candidates
    assert same(whole, stream(direct, readers=3))
    assert same(whole[5:], stream(direct, start=5 * 32))
    assert not same(whole, stream(direct, epoch=1))


def test_only_branches_of_the_network_inputs_are_read(direct, monkeypatch):
    read_branches = []
    opened = RootTree.open

    def noted(self, branches):
        read_branches.append(set(branches))
        return opened(self, branches)

    monkeypatch.setattr(RootTree, "open", noted)
    chunks = open_dataset(direct.folder).train.chunks
    chunks[0].features([])
    assert read_branches
    assert set.union(*read_branches) == {"pt", "eta"}
    before = len(read_branches)
    chunks[0].features([])
    assert len(read_branches) == before  # the files stay open


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_files_are_cut_at_seams_that_are_near_equal_cuts(parts):
    rng = np.random.default_rng(parts)
    for entries in (1000, 98_765):
        equal = [entries * i // parts for i in range(1, parts)]
        assert cut(entries, parts, seams=np.array([0, entries])).tolist() == equal
        seams = np.unique([0, entries, *rng.integers(0, entries, 40).tolist()])
        cuts = cut(entries, parts, seams=seams)
        assert (np.diff([0, *cuts, entries]) > 0).all()
        for wanted, got in zip(equal, cuts.tolist(), strict=True):
            near = min(seams.tolist(), key=lambda seam: abs(seam - wanted))
            close = abs(near - wanted) * 2 * parts < entries
            assert abs(got - wanted) == (abs(near - wanted) if close else 0)


def test_neither_steps_of_reading_nor_the_order_of_files_matter(ntuples, direct, tmp_path):
    again = open_dataset(prepare(settings(ntuples, stream="direct"), cache=tmp_path, step=37))
    assert same(stream(direct), stream(again))


def test_a_direct_dataset_survives_pickle(direct):
    assert same(stream(direct), stream(pickle.loads(pickle.dumps(direct))))


def test_files_that_are_gone_or_changed_are_named(tmp_path):
    path = write(tmp_path / "in" / "a.root", columns(300))
    opened = open_dataset(prepare(dataset(path.parent, stream="direct"), cache=tmp_path))
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"a\.root: has \d+ bytes, but had \d+ when"):
        stream(opened)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.root: No such file.* prepare again"):
        stream(opened)


def test_moved_files_are_prepared_anew(tmp_path):
    path = write(tmp_path / "in" / "a.root", columns(300))
    first = prepare(dataset(path.parent, stream="direct"), cache=tmp_path)
    path.parent.rename(tmp_path / "moved")
    second = prepare(dataset(tmp_path / "moved", stream="direct"), cache=tmp_path)
    assert first != second
    assert stream(open_dataset(second))


def test_imputing_is_refused_since_the_means_come_too_late(ntuples, tmp_path):
    with pytest.raises(DataError, match="impute does not go with stream: direct"):
        prepare(settings(ntuples, stream="direct", missing="impute"), cache=tmp_path)
