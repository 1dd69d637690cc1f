"""Balance by weights: spectra and proportions as set, sums kept, fitted on train alone."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tauopt.config.settings.dataset import Reweight
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.prepare import reweight
from tauopt.prepare.binning import BinEdges, BinGrid, bin_of, quantile_edges
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_binning import slow_index

CLASSES = ("jet", "tau")
TO_TAU = {"variable": "pt", "to": ("tau",)}


def _block(labels, values, weights):
    values = np.array(values, dtype=float)
    return SimpleNamespace(
        labels=np.array(labels, dtype=np.int16),
        spectrum=values[:, None] if values.ndim == 1 else values,
        weights=np.array(weights, dtype=float),
        with_weights=lambda weights: SimpleNamespace(weights=weights),
    )


def _fit(block, edges, *, classes=CLASSES, **settings):
    axes = tuple(BinEdges(f"x{i}", np.array(one, dtype=float)) for i, one in enumerate(edges))
    found = reweight.sum_up([block], BinGrid(axes), classes=classes)
    return reweight.fit(found, Reweight(**(settings or TO_TAU)))


def test_factors_give_the_target_its_shape_and_keep_the_sum():
    block = _block([0, 0, 0, 1, 1, 1, 1], [1, 2, 2, 1, 1, 1, 2], [1.0] * 7)
    weights = _fit(block, [[1.5]]).apply(block).weights
    assert weights[:3].tolist() == pytest.approx([2.25, 0.375, 0.375])
    assert weights[:3].sum() == pytest.approx(3)
    assert weights[3:].tolist() == [1.0] * 4


def test_bin_without_target_gets_no_weight_and_the_sum_is_kept():
    block = _block([0, 0, 0, 1], [1, 2, 3, 2], [1.0, 2, 3, 5])
    assert _fit(block, [[1.5, 2.5]]).apply(block).weights.tolist() == [0, 6, 0, 5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -2, 1, 1], "class 'jet' .* negative in a bin .lowest in x0 from 1.5: -2"),
        ([1, 1, -1, 0], r"classes of reweight\.to"),
    ],
)
def test_spectrum_that_is_not_positive_is_refused(weights, message):
    with pytest.raises(DataError, match=message):
        _fit(_block([0, 0, 1, 1], [1, 2, 1, 2], weights), [[1.5]])


def test_spectra_without_overlap_are_refused():
    with pytest.raises(DataError, match="no bin in common"):
        _fit(_block([0, 1], [1, 2], [1, 1]), [[1.5]])


def _slow(block, axes, settings, classes):
    """Reweight candidate by candidate, with sums in dictionaries."""
    rows = list(zip(block.labels.tolist(), block.spectrum.tolist(), block.weights.tolist(),
                    strict=True))  # fmt: skip
    where = [slow_index(values, axes) for _, values, _ in rows]
    sums, totals = {}, {}
    for (label, _, weight), number in zip(rows, where, strict=True):
        sums[label, number] = sums.get((label, number), 0) + weight
        totals[label] = totals.get(label, 0) + weight
    wanted = {}
    for (label, number), value in sums.items():
        if settings.get("target") == "flat":
            wanted[number] = 1.0
        elif settings.get("target") == "mean":
            share = value / totals[label] / len(totals)
            wanted[number] = wanted.get(number, 0) + share
        elif classes[label] in settings["to"]:
            wanted[number] = wanted.get(number, 0) + value
    result = []
    for (label, _, weight), number in zip(rows, where, strict=True):
        if classes[label] in settings.get("to", ()):
            result.append(weight)
            continue
        reached = sum(wanted.get(b, 0) for one, b in sums if one == label)
        share = wanted.get(number, 0) / reached
        result.append(weight / sums[label, number] * share * totals[label])
    return result


@pytest.mark.parametrize(
    "settings",
    [
        {"variable": "x", "to": ("tau", "mu")},
        {"variable": "x", "target": "flat"},
        {"variable": "x", "target": "mean"},
    ],
)
@hypothesis_settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_weights_in_several_variables_agree_with_a_slow_reference(settings, seed):
    """Values below all edges, on them, and above all of them (mistake 4)."""
    rng = np.random.default_rng(seed)
    classes = ("jet", "tau", "e", "mu")
    labels = np.concatenate([[0, 1, 2, 3], rng.integers(0, 4, 60)])
    values = rng.integers(0, 5, (64, 2))
    values[:4] = 2  # every class shares a bin with the target
    block = _block(labels, values, rng.uniform(0.5, 2, 64))
    edges = [[1, 3], [2]]
    axes = [BinEdges("", np.array(one)) for one in edges]
    found = _fit(block, edges, classes=classes, **settings).apply(block).weights
    np.testing.assert_allclose(found, _slow(block, axes, settings, classes), rtol=1e-9)
    for label in range(4):
        chosen = labels == label
        assert found[chosen].sum() == pytest.approx(block.weights[chosen].sum())


def test_flat_target_gives_every_bin_of_a_class_the_same_sum():
    block = _block([0] * 6 + [1] * 3, [1, 1, 1, 2, 2, 3, 1, 2, 3], np.arange(1.0, 10))
    weights = _fit(block, [[1.5, 2.5]], variable="x", target="flat").apply(block).weights
    for label in (0, 1):
        chosen = block.labels == label
        sums = np.bincount(block.spectrum[chosen, 0].astype(int), weights[chosen])[1:]
        np.testing.assert_allclose(sums, block.weights[chosen].sum() / 3)


def test_factors_beyond_the_limit_are_refused_with_the_bins_named():
    block = _block([0] * 11 + [1] * 3, [1] + [2] * 10 + [1, 2, 2], [1.0] * 14)
    with pytest.raises(DataError) as caught:
        _fit(block, [[1.5]], **TO_TAU, max_ratio=4.9)
    message = str(caught.value)
    assert "class 'jet': the largest factor is 5 times the smallest, max_ratio is 4.9" in message
    assert "largest in x0 below 1.5: factor 3.667, 1 candidates" in message
    assert "smallest in x0 from 1.5: factor 0.7333, 10 candidates" in message
    assert _fit(block, [[1.5]], **TO_TAU, max_ratio=5.01).factors[0] == pytest.approx(
        [11 / 3, 11 * 2 / 3 / 10]
    )


def test_limit_ignores_bins_without_target_and_without_candidates():
    block = _block([0, 0, 1, 1], [1, 2, 2, 3], [1.0] * 4)
    fitted = _fit(block, [[1.5, 2.5, 3.5]], **TO_TAU, max_ratio=1.01)
    assert fitted.apply(block).weights.tolist() == pytest.approx([0, 2, 1, 1])


def _shares(block, proportions, classes=("jet", "tau", "e")):
    found = reweight.sum_up([block], BinGrid(()), classes=classes)
    factors = reweight.in_proportions(found, proportions)
    weights = block.weights * factors[block.labels]
    assert weights.sum() == pytest.approx(block.weights.sum())
    return np.bincount(block.labels, weights, minlength=len(classes)) / weights.sum()


def test_proportions_are_of_the_sum_of_weights_and_others_share_the_rest():
    block = _block([0, 0, 1, 2, 2], np.zeros((5, 0)), [4.0, 6, 2, 1, 5])
    assert _shares(block, {"jet": 0.2}) == pytest.approx([0.2, 0.2, 0.6])
    assert _shares(block, {"jet": 0.5, "tau": 0.3, "e": 0.2}) == pytest.approx([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("proportions", "message"),
    [
        ({"jet": 0.5, "tau": 0.3, "e": 0.1}, "leaves 0.1 for no class"),
        ({"jet": 0.7, "tau": 0.3}, "leaves 0 for e"),
        ({"mu": 0.1}, "of class 'mu' in the training split is 0,"),
    ],
)
def test_proportions_that_can_not_be_had_are_refused(proportions, message):
    block = _block([0, 1, 2], np.zeros((3, 0)), [1.0, 1, 1])
    with pytest.raises(DataError, match=message):
        _shares(block, proportions, classes=("jet", "tau", "e", "mu")[: 4 if "mu" in
                proportions else 3])  # fmt: skip


def test_spectrum_in_pt_and_eta_and_proportions_hold_in_the_prepared_training_split(
    ntuples, tmp_path
):
    settings = dataset(
        ntuples,
        reweight={
            "variables": {"pt": {"bins": 3}, "abs_eta": {"expression": "abs(eta)", "edges": [1.4]}},
            "target": "mean",
            "max_ratio": 100,
        },
        proportions={"jet": 0.25},
        spectators={"pt": "pt", "eta": "eta"},
    )
    found = open_dataset(prepare(settings, cache=tmp_path))
    train = found.train.columns(["labels", "weights", "pt", "eta"])
    edges = found.report("sizes.json")["axes"][0]["edges"]
    pt = np.searchsorted(np.array(edges), train["pt"], side="right")
    number = 2 * pt + (np.abs(train["eta"]) >= np.float32(1.4))
    sums = np.zeros((2, 6))
    np.add.at(sums, (train["labels"], number), train["weights"].astype(float))
    assert sums.sum(axis=1) / sums.sum() == pytest.approx([0.25, 0.75], rel=1e-5)
    np.testing.assert_allclose(sums[0] / sums[0].sum(), sums[1] / sums[1].sum(), rtol=1e-4)


def test_size_table_agrees_with_what_the_chunks_hold(ntuples, tmp_path):
    samples = {
        "low": {"files": [f"{ntuples}/0.root"], "classes": ["jet", "tau"], "weight": "weight"},
        "high": {"files": [f"{ntuples}/[12].root"], "classes": ["jet", "tau"]},
    }
    settings = dataset(ntuples, samples=samples, reweight={"variable": "pt", "to": ["tau"]})
    found = open_dataset(prepare(settings, cache=tmp_path))
    columns = found.report("sizes.json")["columns"]
    for split, reader in (("train", found.train), ("validation", found.validation)):
        stored = reader.columns(["labels", "weights", "event_numbers"])
        for sample, of_sample in (
            ("low", stored["event_numbers"] < 400),
            ("high", stored["event_numbers"] >= 400),
        ):
            for label, name in enumerate(found.manifest.classes):
                chosen = of_sample & (stored["labels"] == label)
                rows = [
                    (n, w)
                    for s, p, c, n, w in zip(
                        columns["split"], columns["sample"], columns["class"],
                        columns["candidates"], columns["balanced"], strict=True,
                    )
                    if (s, p, c) == (split, sample, name)
                ]  # fmt: skip
                assert sum(n for n, _ in rows) == chosen.sum()
                assert sum(w for _, w in rows) == pytest.approx(
                    stored["weights"][chosen].sum(), rel=1e-4
                )
    assert json.loads((found.folder / "sizes.json").read_text())["columns"] == columns


@pytest.mark.parametrize("stream", ["prepared", "direct"])
@pytest.mark.parametrize("policy", ["keep", "drop", "absolute"])
def test_negative_weights_are_counted_and_treated_as_the_policy_says(tmp_path, policy, stream):
    content = columns(900)
    content["weight"][::10] *= -1
    write(tmp_path / "in" / "a.root", content)
    settings = dataset(tmp_path / "in", negative_weights=policy, stream=stream)
    found = open_dataset(prepare(settings, cache=tmp_path))
    taus = int(content["is_tau"][::10].sum())
    assert found.manifest.negative_weights == {"jet": 90 - taus, "tau": taus}
    dropped, of_class = found.manifest.dropped, {"tau": taus, "jet": 90 - taus}
    assert dropped == ({"negative weight": 90} if policy == "drop" else {})
    assert found.manifest.left_out["all"] == (
        {"negative weight": of_class} if policy == "drop" else {}
    )
    held = found.train.columns(["weights", "event_numbers"])
    was = content["weight"][held["event_numbers"]]
    expected = was if policy == "keep" else np.abs(was)
    np.testing.assert_array_equal(held["weights"], expected)
    assert np.any(was < 0) == (policy != "drop")


def test_prepared_classes_have_the_same_spectrum_and_keep_their_sums(ntuples, contents, tmp_path):
    settings = dataset(ntuples, reweight={"variable": "pt", "to": ["tau"], "bins": 5})
    found = open_dataset(prepare(settings, cache=tmp_path))
    columns = found.train.columns(["labels", "weights", "pt"])
    jets, taus = columns["labels"] == 0, columns["labels"] == 1
    edges = quantile_edges(columns["pt"][jets].astype(float), 5)
    shares = []
    for chosen in (jets, taus):
        bins = bin_of(columns["pt"][chosen], edges)
        sums = np.bincount(bins, columns["weights"][chosen], minlength=5)
        shares.append(sums / sums.sum())
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5)
    train = [c["event_number"] % 10 < 6 for c in contents]
    raw = sum(
        c["weight"][chosen & (c["is_tau"] == 0)].sum()
        for c, chosen in zip(contents, train, strict=True)
    )
    assert columns["weights"][jets].sum() == pytest.approx(raw, rel=1e-5)


def test_factors_come_from_the_training_split_alone(ntuples, contents, tmp_path):
    """The validation split gets the factors of the training split, bin by bin."""
    settings = dataset(ntuples, reweight={"variable": "pt", "to": ["tau"], "bins": 5})
    found = open_dataset(prepare(settings, cache=tmp_path))
    raw = {n: w for c in contents for n, w in zip(c["event_number"], c["weight"], strict=True)}
    factors = {}
    train = found.train.columns(["labels", "pt"])
    edges = quantile_edges(train["pt"][train["labels"] == 0].astype(float), 5)
    for split in (found.train, found.validation):
        c = split.columns(["labels", "weights", "event_numbers", "pt"])
        for i in np.flatnonzero(c["labels"] == 0):
            factor = c["weights"][i] / raw[c["event_numbers"][i]]
            factors.setdefault(int(bin_of(c["pt"][i], edges)), []).append(factor)
    assert len(factors) == 5
    for values in factors.values():
        np.testing.assert_allclose(values, values[0], rtol=1e-5)
