import pytest

from tauopt.config.settings.experiment import Objective
from tauopt.config.settings.objective import CostName, ObjectiveName, parse_cost, parse_objective


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rejection@0.75", ObjectiveName("rejection", 0.75)),
        ("rejection@0.6/1p", ObjectiveName("rejection", 0.6, 1)),
        ("rejection@[0.6, 0.9]", ObjectiveName("rejection", (0.6, 0.9))),
        ("rejection@[0.6, 0.9]/3p", ObjectiveName("rejection", (0.6, 0.9), 3)),
        ("auc@[0.5, 0.8]", ObjectiveName("auc", (0.5, 0.8))),
        ("auc", ObjectiveName("auc")),
        ("auc/3p", ObjectiveName("auc", None, 3)),
        ("accuracy", ObjectiveName("accuracy")),
    ],
)
def test_a_name_is_parsed_and_written_back(text, name):
    assert parse_objective(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rejecton@0.75", "did you mean 'rejection'"),
        ("rejection", "needs a signal efficiency"),
        ("auc@0.5", "takes a band of signal efficiencies"),
        ("accuracy@[0.5, 0.6]", "takes no signal efficiency"),
        ("rejection@[0.9, 0.6]", "from a lower to a higher signal efficiency"),
        ("rejection@[0.6, 0.6]", "from a lower to a higher signal efficiency"),
        ("rejection@[0, 0.6]", "between 0 and 1"),
        ("rejection@[0.6, 1.2]", "between 0 and 1"),
        ("rejection@[0.6]", "between 0 and 1"),
        ("rejection@75", "between 0 and 1"),
        ("rejection@0", "between 0 and 1"),
        ("rejection@1.0", "between 0 and 1"),
        ("rejection@nan", "between 0 and 1"),
        ("auc/p", "not a number of prongs"),
        ("auc/0p", "not a number of prongs"),
        ("", "unknown metric"),
        ("auc\n", "unknown metric|prongs"),
    ],
)
def test_an_invalid_objective_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_objective(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("latency_us", CostName("latency_us")),
        ("latency_us@256", CostName("latency_us", 256)),
        ("parameters", CostName("parameters")),
    ],
)
def test_a_cost_is_parsed_and_written_back(text, name):
    assert parse_cost(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latencyus", "did you mean 'latency_us'"),
        ("parameters@2", "takes no batch"),
        ("latency_us@1", "between 2 and 10000"),
        ("latency_us@10001", "between 2 and 10000"),
        ("latency_us@", "between 2 and 10000"),
        ("latency_us@1e3", "between 2 and 10000"),
        ("auc/3p", "write it under maximize"),
        ("rejection@0.75", "write it under maximize"),
        ("", "unknown cost"),
        ("latency_us\n", "unknown cost"),
    ],
)
def test_an_invalid_cost_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_cost(text)


def test_one_name_and_a_list_of_one_are_the_same_objective():
    assert Objective(maximize="rejection@0.750") == Objective(maximize=["rejection@0.75"])


def test_the_first_objective_comes_first_and_costs_last():
    several = Objective(maximize=["auc", "accuracy"], minimize="latency_us@8")
    assert several.first == "auc"
    assert [goal.name for goal in several.goals] == ["auc", "accuracy", "latency_us@8"]
    assert [goal.larger for goal in several.goals] == [True, True, False]
    assert Objective.model_validate(several.model_dump(mode="json")) == several


def test_the_efficiencies_of_a_band_are_spread_evenly_over_it():
    efficiencies = parse_objective("rejection@[.6,0.9]").efficiencies
    assert efficiencies.mean() == pytest.approx(0.75)
    assert 0.6 < efficiencies.min() < 0.61 < 0.89 < efficiencies.max() < 0.9
