import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.errors import DataError
from tauopt.metrics.bootstrap import paired_bootstrap
from tauopt.metrics.influence import paired_value
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.own_metric import own_value
from tauopt.own_code import OwnCodeError
from tests.metrics import own_metrics
from tests.metrics.toys import gaussians, several_classes

MODULE = "tests.metrics.own_metrics"


def own(name):
    return parse_objective(f"{MODULE}:{name}")


@pytest.fixture
def network():
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=5000)
    return gaussians(rng, signal=2000, background=3000, weights=weights)


def test_its_value_is_that_of_the_function_and_its_error_that_of_delong(network):
    found, known = measure(own("area"), network), measure(parse_objective("auc"), network)
    assert found.value == pytest.approx(known.value, abs=1e-9)
    assert found.high - found.low == pytest.approx(known.high - known.low, rel=0.15)


def test_the_error_of_a_difference_is_that_of_the_paired_metric(network):
    shifted = gaussians(np.random.default_rng(2), signal=2000, background=3000, separation=1.4)
    mixed = network.probabilities + shifted.probabilities
    other = type(network)(
        mixed / 2, network.labels, network.weights, classes=network.classes, signal=network.signal
    )
    ahead, error = paired_value(own("area"), network).ahead_of(paired_value(own("area"), other))
    auc = parse_objective("auc")
    known, its_error = paired_value(auc, network).ahead_of(paired_value(auc, other))
    assert ahead == pytest.approx(known, abs=1e-9)
    assert error == pytest.approx(its_error, rel=0.15)
    compared = paired_bootstrap(own("area"), network, other, rng=np.random.default_rng(3))
    assert (compared.high - compared.low) / 2 == pytest.approx(its_error, rel=0.15)


def test_punzi_s_figure_of_merit_is_that_of_the_best_cut(network):
    cuts = np.linspace(0, 1, 400)
    signal, weights = network.is_signal, network.weights
    merits = []
    for cut in cuts:
        passes = network.score > cut
        efficiency = weights[passes & signal].sum() / weights[signal].sum()
        merits.append(efficiency / (1.5 + weights[passes & ~signal].sum() ** 0.5))
    found = measure(own("punzi"), network)
    assert found.value == pytest.approx(max(merits), rel=0.02)
    assert found.value >= max(merits)
    assert found.low < found.value < found.high


def test_it_may_ask_for_classes_and_spectators_of_some_prongs():
    predictions = several_classes(np.random.default_rng(4))
    columns = {**predictions.columns, "eta": np.random.default_rng(5).uniform(0, 2.5, 3000)}
    predictions = type(predictions)(
        predictions.probabilities, predictions.labels, predictions.weights,
        classes=predictions.classes, signal=predictions.signal, columns=columns,
    )  # fmt: skip
    objective = parse_objective(f"{MODULE}:central/3p")
    assert str(objective) == f"{MODULE}:central/3p"
    three = predictions.with_prongs(3)
    expected = own_metrics.central(three.probabilities, three.labels, three.weights, three.columns)
    assert measure(objective, predictions).value == pytest.approx(expected)
    assert paired_value(objective, predictions).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", "raised IndexError"),
        ("nothing", "returned None of type NoneType; expected a real number"),
        ("an_array", r"returned an array of shape \(5000,\); expected a real number"),
        ("not_finite", "returned nan for 5000 candidates; expected a finite number"),
    ],
)
def test_what_a_function_does_wrong_is_said(network, name, message):
    with pytest.raises(DataError, match=rf"{MODULE}:{name} {message}"):
        own_value(own(name), network)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("asks_too_much", "asks for truth, run_number; a metric may ask for scores, labels"),
        ("not_a_function", "is 3.0; expected a function of arrays"),
        ("punxi", r"has no 'punxi' \(did you mean 'punzi'\?\)"),
    ],
)
def test_what_can_not_be_called_is_refused(network, name, message):
    with pytest.raises(OwnCodeError, match=message):
        own_value(own(name), network)
    with pytest.raises(OwnCodeError, match="there is no module 'no_such_merit'"):
        own_value(parse_objective("no_such_merit:punzi"), network)


def test_large_samples_have_fewer_replicas_and_each_is_drawn_once(network):
    measure(own("punzi"), network)
    drawn = network.replicas[f"{MODULE}:punzi"]
    assert len(drawn) == 256
    paired_value(own("punzi"), network)
    assert network.replicas[f"{MODULE}:punzi"] is drawn
