import csv
import io

import numpy as np
import pytest

from tauopt.evaluation.comparison_report import number_row
from tauopt.metrics.named_metrics import ObjectiveName, measure
from tauopt.metrics.scored_trial import ScoredTrial
from tauopt.metrics.trial_comparison import as_csv, compare
from tests.metrics.test_bootstrap import smeared, with_prongs


@pytest.fixture(scope="module")
def contenders():
    rng = np.random.default_rng(1)
    good = with_prongs(rng, separation=2.0)
    bad, same = smeared(good, rng, sigma=1.5), smeared(good, rng, sigma=1e-9)
    return [ScoredTrial("good", good), ScoredTrial("bad", bad), ScoredTrial("same", same)]


@pytest.fixture(scope="module")
def comparison(contenders):
    return compare(contenders, rng=np.random.default_rng(2))


def line(comparison, candidates, metric):
    return next(x for x in comparison.lines if (x.candidates, x.metric) == (candidates, metric))


def test_every_number_is_that_of_its_trial_and_its_difference_from_the_base(contenders, comparison):
    number = line(comparison, "all", "auc")
    assert number.base == measure(ObjectiveName("auc"), contenders[0].predictions)
    for trial, other in zip(contenders[1:], number.others, strict=True):
        assert other.value == measure(ObjectiveName("auc"), trial.predictions)
        assert other.difference == pytest.approx(other.value.value - number.base.value)
    assert {x.candidates for x in comparison.lines} == {"all", "1-prong", "3-prong"}


def test_a_worse_trial_is_significant_and_an_equal_one_is_not(comparison):
    bad, same = line(comparison, "all", "auc").others
    assert bad.high < 0
    assert bad.p_holm < 0.05 < same.p_holm
    assert bad.p_holm == pytest.approx(min(1, 2 * bad.p_value))
    assert comparison.mcnemar[0].only_other > comparison.mcnemar[0].only_one
    assert comparison.mcnemar[0].p_value < 0.01
    assert comparison.mcnemar[1].p_value == 1


def test_a_p_value_below_the_resolution_of_the_replicas_is_a_bound_in_all_outputs(comparison):
    of_auc = line(comparison, "all", "auc")
    bad, same = of_auc.others
    assert (bad.p_limit, same.p_limit) == (True, False)
    assert number_row(of_auc)[5] == f"< {bad.p_holm:.2g}" == "< 0.01"
    assert number_row(of_auc)[8] == f"{same.p_holm:.2g}"
    plain = next(x for x in comparison.as_json()["lines"] if x["metric"] == "auc")
    assert [other["p_limit"] for other in plain["others"]] == [True, False]
    rows = [
        row for row in csv.DictReader(io.StringIO(as_csv(comparison))) if row["metric"] == "auc"
    ]
    assert [row["p_limit"] for row in rows[:3]] == ["", "True", "False"]
    # As many replicas for accuracies as for the rest: all have the same least chance.
    assert number_row(line(comparison, "all", "accuracy"))[5] == "< 0.01"


def test_the_csv_has_a_line_for_each_number_and_trial(comparison):
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert len(rows) == 3 * len(comparison.lines)
    assert [row["trial"] for row in rows[:3]] == ["good", "bad", "same"]
    assert rows[0]["difference"] == ""
    assert float(rows[1]["p_holm"]) >= float(rows[1]["p"])
