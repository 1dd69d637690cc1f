"""Spectra before and after balancing against sums taken candidate by candidate."""

import json

import numpy as np
import pytest

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.prepare.prepare_dataset import prepare
from tauopt.prepare.spectra import BINS, Spectra
from tests.ntuples_factory import dataset


@pytest.mark.parametrize("wide", [True, False])
def test_sums_agree_with_a_slow_reference_whatever_the_later_blocks(wide):
    rng = np.random.default_rng(1)
    values = 20 * (1 + rng.pareto(1, 3000)) if wide else rng.normal(0, 1, 3000)
    labels, weights = rng.integers(0, 2, 3000), rng.normal(1, 1, 3000)
    spectra = Spectra("x", ["jet", "tau"])
    for part in np.split(np.arange(3000), [1000, 1400, 2900]):
        spectra.add(values[part], labels[part], before=weights[part], after=2 * weights[part])
    report = spectra.plain()
    edges = [-np.inf, *report["edges"], np.inf]
    assert len(edges) == BINS + 3
    sums = np.zeros((2, BINS + 2))
    squares = np.zeros((2, BINS + 2))
    for value, label, weight in zip(values, labels, weights, strict=True):
        place = max(i for i in range(BINS + 2) if edges[i] <= value)
        sums[label, place] += weight
        squares[label, place] += weight**2
    for label, name in enumerate(["jet", "tau"]):
        found = report["classes"][name]
        np.testing.assert_allclose(found["before"]["sums"], sums[label])
        np.testing.assert_allclose(found["after"]["sums"], 2 * sums[label])
        np.testing.assert_allclose(found["before"]["squares"], squares[label])
        assert found["candidates"] == np.sum(labels == label)
    ratios = np.divide(report["edges"][1:], report["edges"][:-1])
    assert np.allclose(ratios, ratios[0]) == wide


def test_preparation_reports_spectra_where_it_balances(ntuples, tmp_path):
    balanced = dataset(ntuples, reweight={"variable": "pt", "to": ["tau"], "bins": 5})
    prepared = open_dataset(prepare(balanced, cache=tmp_path))
    (report,) = json.loads((prepared.folder / "spectra.json").read_text())
    counts = prepared.manifest.splits["train"].counts
    assert {name: c["candidates"] for name, c in report["classes"].items()} == counts
    for name, total in prepared.manifest.splits["train"].weights.items():
        for when in ("before", "after"):  # balancing keeps the sum of weights
            assert sum(report["classes"][name][when]["sums"]) == pytest.approx(total, rel=1e-5)
    plain = open_dataset(prepare(dataset(ntuples), cache=tmp_path))
    assert "spectra.json" not in plain.manifest.reports
