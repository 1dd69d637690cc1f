"""The table of an evaluation: its numbers, and its files."""

import csv
import io

import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.metrics_table import as_csv, as_json, as_markdown, rows
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.paired_curves import paired_curves
from tauopt.metrics.scored_trial import ScoredTrial, apply_working_points, from_stored_score
from tests.metrics.toys import gaussians, several_classes


@pytest.fixture(scope="module")
def predictions():
    return several_classes(np.random.default_rng(1), negative=0.05)


@pytest.fixture(scope="module")
def stored(predictions):
    noise = np.random.default_rng(2).normal(size=len(predictions))
    return from_stored_score("stored RNN", predictions.score + 0.5 * noise, predictions)


def test_every_number_is_that_of_measure(predictions, stored):
    for row in rows([ScoredTrial("trial", predictions), stored], rng=np.random.default_rng(1)):
        if " of " in row.metric:
            continue
        prongs = "" if row.candidates == "all" else f"/{row.candidates[0]}p"
        objective = parse_objective(row.metric + prongs)
        assert row.value == measure(objective, predictions)
        if row.reference:
            assert row.reference == measure(objective, stored.predictions)
            assert row.difference.value == pytest.approx(row.value.value - row.reference.value)


@pytest.mark.parametrize("name", ["rejection@[0.6, 0.9]", "auc/3p", "rejection@0.7"])
def test_the_objective_of_the_trial_has_a_row_whatever_it_is(predictions, stored, name):
    objective = parse_objective(name)
    trials = [ScoredTrial("trial", predictions), stored]
    table = rows(trials, rng=np.random.default_rng(1), objective=objective)
    (row,) = [row for row in table if row.metric == name]
    assert row.value == measure(objective, predictions)
    assert row.difference.value == pytest.approx(row.value.value - row.reference.value)
    again = rows(trials, rng=np.random.default_rng(1), objective=parse_objective("auc"))
    assert [row.metric for row in again].count("auc") == 3  # all, 1-prong, 3-prong


def test_an_objective_of_prongs_that_are_unknown_has_no_row():
    bare = gaussians(np.random.default_rng(1))
    table = rows([ScoredTrial("t", bare)], rng=np.random.default_rng(1),
                 objective=parse_objective("auc/3p"))  # fmt: skip
    assert "auc/3p" not in {row.metric for row in table}


def test_working_points_have_the_efficiency_and_rejection_of_their_decisions(predictions, stored):
    trials = apply_working_points([ScoredTrial("trial", predictions), stored], None)
    table = rows(trials, rng=np.random.default_rng(1))
    signal, weights = predictions.is_signal, predictions.weights
    for kind, kind_mask in (("efficiency", signal), ("rejection", ~signal)):
        (row,) = [r for r in table if (r.candidates, r.metric) == ("all", f"{kind} of 75 %")]
        for trial, value in zip(trials, (row.value, row.reference), strict=True):
            part = weights[kind_mask & trial.passes["75 %"]].sum() / weights[kind_mask].sum()
            assert value.value == pytest.approx(part if kind == "efficiency" else 1 / part)
        assert row.difference.low <= row.value.value - row.reference.value <= row.difference.high


def test_a_stored_score_has_no_accuracy_to_compare(predictions, stored):
    table = rows([ScoredTrial("trial", predictions), stored], rng=np.random.default_rng(1))
    assert {row.metric for row in table if row.reference is None} == {
        "accuracy", "balanced_accuracy"
    }  # fmt: skip


def test_differences_are_those_of_the_paired_bootstrap_of_each_number():
    rng = np.random.default_rng(4)
    good, bad = gaussians(rng, separation=2.0), gaussians(rng, separation=1.0)
    paired = paired_curves(good, bad, np.array([0.6, 0.75]), rng=np.random.default_rng(1))
    for number, metric in enumerate(("auc", "rejection@0.6", "rejection@0.75")):
        slow = paired_bootstrap(
            parse_objective(metric), good, bad, rng=np.random.default_rng(1), replicas=400
        )
        quick = paired.difference(number)
        for end in ("value", "low", "high", "p_worse", "p_better"):
            assert getattr(quick, end) == pytest.approx(getattr(slow, end))


def test_a_score_against_itself_has_ratio_one_and_no_significance(predictions):
    same = [ScoredTrial("a", predictions), ScoredTrial("b", predictions)]
    paired = paired_curves(predictions, predictions, np.array([0.5]), rng=np.random.default_rng(1))
    assert [ratio.triple for ratio in paired.ratios] == [[1.0, 1.0, 1.0]]
    for row in rows(same, rng=np.random.default_rng(1)):
        assert (row.sigma, row.p_value) == (0.0, 1.0)


def test_a_p_value_below_the_resolution_of_the_replicas_is_a_bound():
    rng = np.random.default_rng(4)
    good = gaussians(rng, separation=2.0)
    bad = ScoredTrial("b", gaussians(rng, separation=0.5))
    (auc, *_) = [row for row in rows([ScoredTrial("a", good), bad], rng=rng) if row.metric == "auc"]
    assert auc.p_text == "p < 0.005"
    same = rows([ScoredTrial("a", good), ScoredTrial("b", good)], rng=rng)
    assert {row.p_text for row in same} == {"p = 1"}
    assert as_json([auc])[0]["p_limit"]
    assert not any(plain["p_limit"] for plain in as_json(same))


def test_json_csv_and_markdown_hold_the_numbers_of_the_table(predictions, stored):
    table = rows([ScoredTrial("trial", predictions), stored], rng=np.random.default_rng(1))
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [line["metric"] for line in lines] == [row.metric for row in table]
    auc = next(i for i, row in enumerate(table) if row.metric == "auc")
    assert float(lines[auc]["reference_low"]) == pytest.approx(table[auc].reference.low, rel=1e-5)
    assert lines[0]["difference_value"] == ""
    text = as_markdown(table, name="trial", reference="stored|RNN")
    assert "| all | auc |" in text
    assert "stored\\|RNN" in text
    assert len({line.replace("\\|", "").count("|") for line in text.splitlines()}) == 1
    assert as_json(table)[auc]["difference"]["low"] == table[auc].difference.low
