"""Balance by counts: as many candidates as set, at random places, the same on every machine."""

import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tauopt.config.settings.dataset import Resample
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.prepare import resample
from tauopt.prepare.binning import BinEdges, BinGrid
from tauopt.prepare.candidate_blocks import concatenate
from tauopt.prepare.chunk_histograms import ChunkHistograms, ColumnNames
from tauopt.prepare.chunk_validation import compare
from tauopt.prepare.prepare_dataset import prepare
from tauopt.prepare.reweight import Balance, sum_up
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_spill_files import check, make_block

BINS = BinGrid((BinEdges("pt", np.array([0.5])),))
CLASSES = ("jet", "tau")


def draw(block, factors, *, replacement, candidates=None):
    found = sum_up([block], BINS, classes=CLASSES)
    settings = Resample(replacement=replacement, candidates=candidates)
    return resample.fit(found, Balance(BINS, np.array(factors, float)), settings)


def few(labels, values, weights):
    return SimpleNamespace(
        labels=np.array(labels), spectrum=np.array(values)[:, None], weights=np.array(weights)
    )


def table(block, numbers):
    """Add numbers up by class and bin, candidate by candidate."""
    found = [[0.0, 0.0], [0.0, 0.0]]
    for label, value, number in zip(block.labels, block.spectrum[:, 0], numbers, strict=True):
        found[label][int(value >= 0.5)] += number
    return np.array(found)


@pytest.mark.parametrize("replacement", [True, False])
def test_expected_counts_and_weights_are_those_of_balanced_weights(replacement):
    block = make_block(400)
    block = block.with_weights(block.weights * np.where(block.event_numbers % 7, 1, -0.2))
    factors = np.array([[0.5, 4.0], [2.0, 0.0]])
    found = draw(block, factors, replacement=replacement, candidates=60)
    rates = table(block, [
        found.rates[label, int(value >= 0.5)]
        for label, value in zip(block.labels, block.spectrum[:, 0], strict=True)
    ])  # fmt: skip
    heavy = factors * table(block, np.abs(block.weights))
    np.testing.assert_allclose(rates, 60 * heavy / heavy.sum())
    once = found.weigh(block).weights
    number = found.rates[block.labels, BINS.index(block.spectrum)]
    np.testing.assert_allclose(
        table(block, once * number), factors * table(block, block.weights), atol=1e-12
    )
    mean = table(block, np.abs(once)) / table(block, np.ones(400))
    np.testing.assert_allclose(mean[factors > 0], heavy.sum() / 60)


def test_by_default_as_many_are_drawn_as_there_were_or_as_are_available():
    block = few([0, 0, 0, 1], [0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0])
    factors = [[0.5, 2.0], [1.0, 1.0]]
    assert draw(block, factors, replacement=True).rates.tolist() == [[0.5, 2.0], [0.0, 1.0]]
    assert draw(block, factors, replacement=False).rates.tolist() == [[0.25, 1.0], [0.0, 0.5]]


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (3, r"2 candidates of 4 can be had, candidates is 3: there are only 1 of class 'jet' in "
            r"pt from 0\.5; set fewer"),
        (2, None),
    ],
)  # fmt: skip
def test_more_draws_than_candidates_without_replacement_are_refused(candidates, message):
    block = few([0, 0, 0, 1], [0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0])
    factors = [[0.5, 2.0], [1.0, 1.0]]
    if message is None:
        assert draw(block, factors, replacement=False, candidates=candidates).rates.max() == 1
        return
    with pytest.raises(DataError, match=message):
        draw(block, factors, replacement=False, candidates=candidates)


def test_candidates_without_weight_can_not_be_drawn():
    with pytest.raises(DataError, match="weigh nothing"):
        draw(few([0, 1], [0, 1], [0.0, 0.0]), np.ones((2, 2)), replacement=True)


def with_rate(rate):
    ones = np.ones((2, 2))
    return resample.ResamplingDraws(Balance(BINS, ones), CLASSES, ones[0], 0, rate * ones, ones)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0, 2.75])
def test_candidate_is_drawn_as_often_as_its_rate_says(rate):
    block = make_block(20_000)
    times = with_rate(rate).times(block)
    assert set(times.tolist()) <= {int(rate), int(np.ceil(rate))}
    part = rate - int(rate)
    assert abs(times.sum() - rate * 20_000) <= 5 * np.sqrt(20_000 * part * (1 - part))


def test_draws_copy_everything_of_their_candidate_but_the_key():
    block = make_block(300)
    times = np.arange(300) % 5
    pieces = list(resample.copies(block, times))
    assert max(map(len, pieces)) <= 300
    drawn = concatenate(pieces)
    check(drawn)
    assert np.bincount(drawn.event_numbers, minlength=300).tolist() == times.tolist()
    assert len(np.unique(drawn.keys)) == len(drawn)
    for number, keys in zip(block.event_numbers, block.keys, strict=True):
        own = drawn.keys[drawn.event_numbers == number]
        assert (keys in own) == (times[number] > 0)
    assert not list(resample.copies(block, np.zeros(300, int)))


def test_neither_order_nor_blocks_matter():
    block, fitted = make_block(500), with_rate(1.6)
    order = np.random.default_rng(3).permutation(500)

    def drawn(parts):
        pieces = itertools.chain.from_iterable(
            resample.copies(part, fitted.times(part)) for part in parts
        )
        joined = concatenate(list(pieces))
        return sorted(zip(joined.keys.tolist(), joined.event_numbers.tolist(), strict=True))

    shuffled = block.take(order)
    assert drawn([block]) == drawn([shuffled.slice(0, 123), shuffled.slice(123, 500)])


def test_copies_are_uniform_over_the_order_and_independent_of_their_originals():
    block = make_block(20_000)
    drawn = concatenate(list(resample.copies(block, np.full(20_000, 3))))
    place = np.argsort(np.argsort(drawn.keys)) / len(drawn)
    by_candidate = place[np.argsort(drawn.event_numbers, kind="stable")].reshape(-1, 3)
    for column in by_candidate.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    for one, other in ((0, 1), (0, 2), (1, 2)):
        distance = np.abs(by_candidate[:, one] - by_candidate[:, other])
        assert stats.kstest(distance, "triang", args=(0,)).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_what_is_left_without_replacement_is_uniform_over_the_order(rate):
    block = make_block(20_000)
    kept = with_rate(rate).times(block) == 1
    place = np.argsort(np.argsort(block.keys)) / len(block)
    assert stats.kstest(place[kept], "uniform").pvalue > 1e-4
    assert stats.kstest(place[~kept], "uniform").pvalue > 1e-4


BALANCE = {
    "reweight": {"variables": {"pt": {"edges": [25_000, 35_000, 60_000]}}, "to": ["tau"]},
    "proportions": {"jet": 0.6},
    "spectators": {"pt": "pt", "eta": "eta"},
}
EDGES = np.array([25_000, 35_000, 60_000])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Six times as many jets as taus, in two slices of which one weighs fifty times less."""
    folder = tmp_path_factory.mktemp("uneven")
    contents = []
    for number, (entries, tau, weight) in enumerate([(6000, False, 50), (3000, False, 1),
                                                     (1500, True, 1)]):  # fmt: skip
        first = sum(len(content["pt"]) for content in contents)
        content = columns(entries, seed=number + 1, tau=tau, first_event=first)
        if number == 1:
            content["pt"] = content["pt"] + np.float32(20_000)
        content["weight"] *= np.float32(weight)
        write(folder / f"{number}.root", content)
        contents.append(content)
    merged = {name: np.concatenate([c[name] for c in contents]) for name in ("pt", "weight")}
    return folder, merged | {"is_tau": np.concatenate([c["is_tau"] for c in contents])}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def prepared(uneven, cache, **resample):
    chosen = {"resample": resample} if resample else {}
    return open_dataset(prepare(dataset(uneven[0], chunk_size=1000, **BALANCE, **chosen),
                                cache=cache))  # fmt: skip


def cells(labels, pt, numbers):
    found = np.zeros((2, 4))
    np.add.at(found, (labels, np.searchsorted(EDGES, pt, side="right")), numbers)
    return found


@pytest.mark.parametrize(
    "resampling",
    [
        {"replacement": True},
        {"replacement": True, "candidates": 9000},
        {"replacement": False},
        {"replacement": False, "candidates": 800},
    ],
)
def test_training_split_is_balanced_in_counts_and_in_weights(uneven, cache, resampling):
    by_weight = prepared(uneven, cache).train.columns(["labels", "weights", "pt"])
    wanted = cells(by_weight["labels"], by_weight["pt"], by_weight["weights"].astype(float))
    found = prepared(uneven, cache, **resampling)
    train = found.train.columns(["labels", "weights", "pt", "event_numbers"])
    number = len(train["labels"])
    times = np.bincount(train["event_numbers"], minlength=10_500)
    cell = train["labels"], np.searchsorted(EDGES, train["pt"], side="right")
    counts = cells(train["labels"], train["pt"], np.ones(number))
    sums = cells(train["labels"], train["pt"], train["weights"].astype(float))
    # a candidate is drawn floor or ceil of its rate times: the variance is a quarter at most
    there = cells(by_weight["labels"], by_weight["pt"], np.ones(len(by_weight["pt"])))
    error = 5 * np.sqrt(np.minimum(there / 4, wanted / wanted.sum() * number)) + 1
    assert np.all(np.abs(counts - wanted / wanted.sum() * number) < error)
    largest = np.zeros((2, 4))
    np.maximum.at(largest, cell, train["weights"])
    assert np.all(np.abs(sums - wanted) < error * largest)
    assert abs(number - (resampling.get("candidates") or number)) < 5 * np.sqrt(number)
    if not resampling["replacement"]:
        assert times.max() == 1
    elif "candidates" not in resampling:
        assert abs(number - len(by_weight["pt"])) < 5 * np.sqrt(number)
    assert found.manifest.resampled.most == times.max()


def test_each_draw_has_the_features_of_its_candidate(uneven, cache):
    _, contents = uneven
    found = prepared(uneven, cache, replacement=True)
    seen = {}
    for chunk in found.train.chunks:
        values, offsets = chunk.group("tracks")
        for i, number in enumerate(chunk.event_numbers.tolist()):
            row = chunk.candidate[i].tolist(), values[offsets[i] : offsets[i + 1]].tolist()
            assert seen.setdefault(number, row) == row
            assert chunk.candidate[i, 0] == contents["pt"][number]
            assert chunk.labels[i] == contents["is_tau"][number]
    assert {number % 10 for number in seen} == set(range(6))


def test_counts_before_and_after_are_on_record(uneven, cache):
    _, contents = uneven
    found = prepared(uneven, cache, replacement=True)
    manifest, train = found.manifest, np.arange(10_500) % 10 < 6
    jets = int((train & (contents["is_tau"] == 0)).sum())
    assert manifest.resampled.before == {"jet": jets, "tau": int(train.sum()) - jets}
    held = found.train.columns(["labels", "event_numbers"])
    for label, name in enumerate(("jet", "tau")):
        numbers = held["event_numbers"][held["labels"] == label]
        assert manifest.resampled.different[name] == len(np.unique(numbers))
        assert manifest.resampled.drawn[name] == len(numbers)
        assert manifest.splits["train"].counts[name] == len(numbers)
    table = found.report("sizes.json")["columns"]
    rows = [i for i, split in enumerate(table["split"]) if split == "train"]
    assert sum(table["candidates"][i] for i in rows) == train.sum()
    assert sum(table["drawn"][i] for i in rows) == found.train.candidates
    balanced = sum(table["balanced"][i] for i in rows)
    assert balanced == pytest.approx(sum(manifest.splits["train"].weights.values()), rel=1e-5)
    (spectrum,) = found.report("spectra.json")
    after = sum(sum(one["after"]["sums"]) for one in spectrum["classes"].values())
    assert after == pytest.approx(balanced)


def test_validation_and_test_are_balanced_by_weights(uneven, cache):
    by_weight = prepared(uneven, cache)
    for resampling in ({"replacement": True}, {"replacement": False}):
        drawn = prepared(uneven, cache, **resampling)
        for one, other in (
            (by_weight.validation, drawn.validation),
            (by_weight.sealed_test(opened_by="a test"), drawn.sealed_test(opened_by="a test")),
        ):
            one, other = (x.columns(["event_numbers", "labels", "weights"]) for x in (one, other))
            for held in (one, other):
                order = np.argsort(held["event_numbers"])
                held.update({name: values[order] for name, values in held.items()})
            np.testing.assert_array_equal(one["event_numbers"], other["event_numbers"])
            np.testing.assert_allclose(one["weights"], other["weights"])


@pytest.mark.parametrize("replacement", [True, False])
def test_neither_names_of_files_nor_steps_of_reading_matter(uneven, cache, tmp_path, replacement):
    found = prepared(uneven, cache, replacement=replacement)
    for number, name in enumerate("cab"):
        shutil.copy(uneven[0] / f"{number}.root", tmp_path / f"{name}.root")
    settings = dataset(tmp_path, chunk_size=1000, **BALANCE, resample={"replacement": replacement})
    again = prepare(settings, cache=tmp_path, step=77)
    assert again.name == found.folder.name
    for path in sorted(found.folder.rglob("*.npy")):
        assert path.read_bytes() == (again / path.relative_to(found.folder)).read_bytes()
    for name in ("sizes.json", "spectra.json"):
        assert found.report(name) == open_dataset(again).report(name)


def test_class_of_which_nothing_is_drawn_is_refused(uneven, tmp_path):
    settings = dataset(uneven[0], proportions={"tau": 1e-9},
                    resample={"replacement": True, "candidates": 1000})  # fmt: skip
    with pytest.raises(DataError, match=r"no candidate was drawn of class 'tau' \(1e-06 expected"):
        prepare(settings, cache=tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


NAMES = ColumnNames(("a", "b"), {"tracks": ("x",)}, ())


def compared(block, times):
    drawn = concatenate(list(resample.copies(block, times)))
    drawn = drawn.take(np.argsort(drawn.keys, kind="stable"))
    tally = ChunkHistograms("train", NAMES, chunks=5)
    for number, rows in enumerate(np.array_split(np.arange(len(drawn)), 5)):
        tally.add(str(number), drawn.take(rows))
    return compare([tally])


def test_copies_raise_no_false_alarms_and_copies_beside_each_other_are_found(monkeypatch):
    sets, failed = 100, 0
    often = np.where(np.arange(400) % 20, 1, 40)
    for seed in range(sets):
        found = compared(make_block(400, seed=seed), often)
        failed += found.smallest < 0.05
    assert failed <= sets * 0.05 + 3 * np.sqrt(sets * 0.05 * 0.95)
    monkeypatch.setattr(resample, "_keys", lambda keys, nth: keys)
    with pytest.raises(DataError, match="not random samples"):
        compared(make_block(400), often).check("copies beside each other")
