import numpy as np
import pytest
from pydantic import ValidationError

from tauopt.config.settings.experiment import Constraint
from tauopt.config.settings.objective import parse_constraint, parse_objective
from tauopt.metrics.constraint_values import constraint_value, measured, overtraining
from tauopt.metrics.estimate import Estimate
from tauopt.metrics.named_metrics import measure
from tests.metrics.toys import gaussians

REJECTION = parse_objective("rejection@0.75")


def test_overtraining_of_two_equal_samples_is_zero_within_its_errors():
    pulls = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        one, other = (
            measure(REJECTION, gaussians(rng, signal=1000, background=4000)) for _ in "12"
        )
        found = overtraining(one, other)
        assert found.low < found.value < found.high < 1
        pulls.append(found.value / (0.5 * (found.high - found.low)))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(pulls)) < 0.35


def test_overtraining_is_the_relative_loss():
    found = overtraining(Estimate(100.0, 95.0, 105.0), Estimate(80.0, 76.0, 84.0))
    assert found.value == pytest.approx(0.2)
    assert found.high - found.low == pytest.approx(2 * 0.8 * np.hypot(0.05, 0.05), rel=0.01)


def test_overtraining_of_metrics_below_zero_is_a_loss_too():
    found = overtraining(Estimate(-0.20, -0.21, -0.19), Estimate(-0.25, -0.26, -0.24))
    assert found.value == pytest.approx(0.25)
    assert 0 < found.low < 0.25 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.25 * np.hypot(0.05, 0.04), rel=0.01)
    across = overtraining(Estimate(0.2, 0.1, 0.3), Estimate(-0.1, -0.2, 0.0))
    assert across.value == pytest.approx(1.5)
    assert across.high - across.low == pytest.approx(2 * np.hypot(0.5, 0.5))


@pytest.mark.parametrize(
    ("triple", "limit", "broken"),
    [
        ((0.08, 0.04, 0.12), {"max": 0.05}, False),  # not beyond its error
        ((0.08, 0.06, 0.10), {"max": 0.05}, True),
        ((0.97, 0.96, 0.985), {"min": 0.98}, False),
        ((0.96, 0.95, 0.97), {"min": 0.98}, True),
        ((12.0, 12.0, 12.0), {"max": 12}, False),
        ((13.0, 13.0, 13.0), {"max": 12}, True),
    ],
)
def test_a_limit_is_broken_beyond_the_error_only(triple, limit, broken):
    value = constraint_value("q", Estimate(*triple), Constraint(**limit))
    assert value.is_broken == broken
    assert (value.beyond > 0) == broken
    word, bound = ("at most", limit["max"]) if "max" in limit else ("at least", limit["min"])
    assert str(value).endswith(f"allowed {word} {bound:g}")


def test_metrics_and_overtraining_are_measured_and_costs_are_left_out():
    rng = np.random.default_rng(1)
    training, validation = (gaussians(rng, prongs=np.tile([1, 3], 2000)) for _ in "12")
    limits = {"auc/3p": {"min": 0.5}, "overtraining": {"max": 0.5}, "latency_us": {"max": 1.0}}
    constraints = {name: Constraint(**limit) for name, limit in limits.items()}
    auc, lost = measured(constraints, REJECTION, validation, training)
    assert (auc.name, lost.name) == ("auc/3p", "overtraining")
    assert auc.value == measure(parse_objective("auc/3p"), validation).value
    ratio = measure(REJECTION, validation).value / measure(REJECTION, training).value
    assert lost.value == pytest.approx(1 - ratio)


@pytest.mark.parametrize("limits", [{}, {"min": 0.0, "max": 1.0}])
def test_a_constraint_has_one_limit(limits):
    with pytest.raises(ValidationError, match="expected either min or max"):
        Constraint(**limits)


@pytest.mark.parametrize("name", ["overtraning", "latency", "rejection", "auc@0.5", "latency_us@1"])
def test_an_unknown_quantity_is_refused(name):
    with pytest.raises(ValueError, match=r"did you mean|needs a signal|not a single|not between"):
        parse_constraint(name)
