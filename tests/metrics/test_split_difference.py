import numpy as np
import pytest

from tauopt.config.settings.objective import parse_objective
from tauopt.metrics.named_metrics import measure
from tauopt.metrics.split_difference import compare_splits, errors_apart
from tests.metrics.toys import gaussians

REJECTION = parse_objective("rejection@0.75")


def test_a_difference_of_two_equal_samples_is_one_of_its_errors():
    apart = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, other = (
            measure(REJECTION, gaussians(rng, signal=1500, background=6000)).triple for _ in "12"
        )
        apart.append(errors_apart(REJECTION, one, other))
    assert np.std(apart) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(apart)) < 3 / len(apart) ** 0.5


@pytest.mark.parametrize(
    ("validation", "test", "said"),
    [
        ([109.7, 100, 120], [78, 71, 86], "2.6 errors of the difference lower: more than chance"),
        ([78, 71, 86], [109.7, 100, 120], "2.6 errors of the difference higher: more than chance"),
        ([80, 73, 88], [78, 71, 86], "0.2 errors of the difference: as chance has it"),
        ([50, 50, 50], [78, 71, 86], "a limit, too few candidates pass"),
    ],
)
def test_what_a_difference_means_is_said(validation, test, said):
    sentence = compare_splits(REJECTION, validation, test)
    assert sentence.startswith("rejection@0.75: ")
    assert said in sentence


def test_an_area_is_compared_as_it_is():
    assert errors_apart(parse_objective("auc"), [0.9, 0.89, 0.91], [0.88, 0.87, 0.89]) == (
        pytest.approx(2**0.5)
    )
