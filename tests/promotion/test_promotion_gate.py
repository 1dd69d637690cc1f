"""The promotion gate on made-up predictions: needs no network."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tauopt.config.settings.gate import BinnedRegressions, Gate
from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.bootstrap import Difference, paired_bootstrap
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.predictions import Predictions
from tauopt.promotion.promotion_gate import costs_of, floors, limits, regressions, stated_data
from tauopt.promotion.verdict import MAX_TAG, GateCheck, Verdict
from tauopt.promotion.verdict import compare as verdict_of
from tests.metrics.toys import gaussians

AUC = parse_objective("auc")


def tau_sample(*, separation=2.0, candidates=6000):
    """Taus and jets with pT in GeV, pile-up and prongs, that a network separates."""
    rng = np.random.default_rng(1)
    half = candidates // 2
    sample = gaussians(rng, signal=half, background=half, separation=separation)
    sample.columns.update(
        pt=20 + rng.exponential(30, candidates),
        mu=rng.uniform(0, 60, candidates),
        prongs=rng.choice([1, 3], candidates),
    )
    return sample


def spoiled(predictions, where, *, sigma=2.0):
    """The same network, but with noise on its score for some candidates."""
    logit = np.log(predictions.probabilities[:, 1] / predictions.probabilities[:, 0])
    noise = sigma * np.random.default_rng(2).normal(size=len(predictions)) * where
    p = 1 / (1 + np.exp(-logit - noise))
    return Predictions(
        np.stack([1 - p, p], axis=1), predictions.labels, predictions.weights,
        classes=predictions.classes, signal=predictions.signal, columns=predictions.columns,
    )  # fmt: skip


def compared(gate, mine, theirs):
    """All checks against the champion, by name; `auc` is the objective."""
    rng = np.random.default_rng(3)
    allowed = gate.regressions.get("auc", 0.0)
    whole = paired_bootstrap(AUC, mine, theirs, rng=rng, replicas=300, allowed=allowed)
    checks = regressions(gate, mine, theirs, difference=whole, objective=AUC, rng=rng)
    return {check.name: check for check in checks}


def test_a_floor_is_reached_by_the_lower_end_of_the_interval():
    test = tau_sample()
    area = measure(AUC, test)
    between = (area.low + area.value) / 2
    checks = [*floors(Gate(floors={"auc": between, "auc/3p": 0.5}), test)]
    assert [check.passed for check in checks] == [False, True]
    assert checks[0].value == tuple(area.triple)
    assert str(checks[0]).startswith("floor of auc: 0.9")


def test_a_floor_that_can_not_be_measured_is_not_reached():
    test = tau_sample()
    (check,) = floors(Gate(floors={"auc": 0.1}), test.where(test.is_signal))
    assert not check.passed
    assert "can't be measured" in check.found


def test_costs_are_limited_by_their_median():
    gate = Gate(limits={"latency_us": 100.0, "latency_us@256": 5.0, "parameters": 1000.0})
    assert [str(cost) for cost in costs_of(gate)] == [*gate.limits]
    costs = {
        "latency_us": Estimate(90.0, 80.0, 120.0),
        "latency_us@256": Estimate(6.0, 4.0, 7.0),
        "parameters": Estimate(1000.0, 1000.0, 1000.0),
    }
    assert [check.passed for check in limits(gate, costs)] == [True, False, True]


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        ({"dataset": "mc23"}, [True]),
        ({"dataset": "abcdef01"}, [True]),
        ({"dataset": "abc"}, [False]),
        ({"dataset": "mc20"}, [False]),
        ({"same_data": "name"}, [True]),
        ({"same_data": "digest"}, [False]),
        ({"same_data": "any"}, []),
    ],
)
def test_the_dataset_must_be_the_stated_one_and_that_of_the_champion(gate, passed):
    comparison = SimpleNamespace(version="3", data={"name": "mc23", "digest": "9" * 64})
    here = {"name": "mc23", "digest": "abcdef01" * 8}
    checks = [*stated_data(Gate(**gate), **here, comparison=comparison)]
    assert [check.passed for check in checks] == passed


def test_without_a_champion_there_is_no_dataset_to_share():
    comparison = SimpleNamespace(version="", data={})
    assert not [*stated_data(Gate(same_data="digest"), name="x", digest="0", comparison=comparison)]


def test_a_champion_without_a_record_fails_the_check_of_the_same_dataset():
    comparison = SimpleNamespace(version="1", data={})
    (check,) = stated_data(Gate(same_data="name"), name="x", digest="0" * 64, comparison=comparison)
    assert not check.passed
    assert "which no record names" in check.asked


def test_a_model_as_good_as_the_champion_loses_nothing_anywhere():
    same = tau_sample()
    gate = Gate(bins={name: {"regressions": {"auc": 0.0}} for name in ("pt", "mu", "prongs")})
    checks = compared(gate, same, same)
    assert len(checks) > 10
    assert all(check.passed and check.p == 1 for check in checks.values())


def test_a_loss_that_is_allowed_is_passed_and_one_beyond_it_is_not():
    theirs = tau_sample()
    mine = spoiled(theirs, np.ones(len(theirs)), sigma=1.0)
    lost = 1 - measure(AUC, mine).value / measure(AUC, theirs).value
    for allowed, passed in ((0.0, False), (lost / 3, False), (3 * lost, True)):
        (check,) = compared(Gate(regressions={"auc": allowed}), mine, theirs).values()
        assert check.passed == passed
        assert check.passed == (check.p >= 0.05)


def test_a_loss_in_a_single_bin_is_found_there_although_the_whole_is_as_good():
    theirs = tau_sample()
    low = theirs.columns["pt"] < 30
    mine = spoiled(theirs, low & (theirs.columns["pt"] > 27), sigma=4.0)
    asked = BinnedRegressions(edges=(20.0, 27.0, 30.0, 60.0), regressions={"auc": 0.02})
    checks = compared(Gate(regressions={"auc": 0.05}, bins={"pt": asked}), mine, theirs)
    assert [name for name, check in checks.items() if not check.passed] == ["auc in pt 27 to 30"]
    failed = checks["auc in pt 27 to 30"]
    assert failed.value[0] < 0.9 * failed.champion[0]
    assert "at most 2 % lost" in str(failed)
    assert failed.p_limit
    assert failed.row[4] == f"< {failed.p:.2g}"
    assert f"p < {failed.p:.2g};" in str(failed)


def test_the_reason_of_a_refusal_gives_the_least_p_value_as_an_upper_bound():
    whole = Difference(-3.0, -4.0, -2.0, p_worse=1 / 1001, p_better=1.0, least=1 / 1001)
    assert "p < 0.001, less than 0.05" in verdict_of(whole)[1]
    assert "p = 0.02, less than 0.05" in verdict_of(replace(whole, p_worse=0.02))[1]


def test_many_bins_of_equal_networks_are_not_refused_by_chance():
    """With equal noise on both, p < 0.05 in some bin is likely by chance."""
    theirs = spoiled(tau_sample(), np.ones(6000), sigma=0.5)
    refused = 0
    for seed in range(3):
        noise = 0.5 * np.random.default_rng(seed).normal(size=6000)
        base = tau_sample()
        p = 1 / (1 + np.exp(-np.log(base.probabilities[:, 1] / base.probabilities[:, 0]) - noise))
        mine = Predictions(
            np.stack([1 - p, p], axis=1), base.labels, base.weights,
            classes=base.classes, signal=base.signal, columns=base.columns,
        )  # fmt: skip
        gate = Gate(regressions={"auc": 0.5}, bins={"mu": {"regressions": {"auc": 0.0}}})
        refused += not all(check.passed for check in compared(gate, mine, theirs).values())
    assert refused <= 1


def test_a_bin_with_too_few_candidates_refuses_nothing_and_says_so():
    same = tau_sample()
    asked = BinnedRegressions(edges=(0.0, 10.0, 1e4), regressions={"auc": 0.0})
    checks = compared(Gate(bins={"pt": asked}), same, same)
    assert checks["auc in pt 0 to 10"].passed
    assert "too few candidates to tell" in checks["auc in pt 0 to 10"].found


def test_a_variable_that_the_split_lacks_fails_its_check():
    same = tau_sample()
    checks = compared(Gate(bins={"eta": {"regressions": {"auc": 0.0}}}), same, same)
    assert not checks["auc in eta"].passed


def test_checks_read_back_and_a_long_verdict_still_fits_a_tag():
    passed = GateCheck("auc in pt", "0.9 ± 0.1", "no loss", True, value=(0.9, 0.8, 1.0), p=0.3)
    failed = GateCheck("dataset", "x", "y", False)
    assert [GateCheck.from_json(json.loads(json.dumps(c.as_json()))) for c in (passed, failed)] == [
        passed,
        failed,
    ]
    verdict = Verdict(
        run_id="", run_name="", model="m", version="1", model_sha256="", dataset="d",
        dataset_digest="", objective="auc", validation={}, candidates={}, test={},
        outcome="refused by the gate", reason="", checks=(*[passed] * 600, failed),
    )  # fmt: skip
    assert len(json.dumps(verdict.as_json())) > MAX_TAG > len(json.dumps(verdict.for_tag()))
    assert Verdict.from_json(verdict.for_tag()).checks == (failed,)
    assert Verdict.from_json(verdict.as_json()) == verdict
