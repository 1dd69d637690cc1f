import json

import numpy as np
import pytest

from tauopt.config.settings.working_point_settings import WorkingPointSettings
from tauopt.errors import CorruptError, DataError
from tauopt.metrics.scored_trial import cut_variables
from tauopt.metrics.working_points.working_point_set import WorkingPoints, derive
from tests.metrics.working_points.tau_sample import taus_and_jets

SEQUENTIAL = WorkingPointSettings.model_validate(
    {
        "points": {
            "medium": {"efficiency": 0.75},
            "per_prong": {"efficiency": {"1p": 0.75, "3p": 0.6}},
            "clean": {"rejection": 20},
            "no_e": {"efficiency": 0.95, "score": "against_e"},
            "no_e_medium": {"efficiency": 0.75, "requires": ["no_e"]},
            "no_e_clean": {"rejection": 5, "score": "against_jet", "requires": ["no_e_medium"]},
        }
    }
)


@pytest.fixture(scope="module")
def validation():
    return taus_and_jets(np.random.default_rng(1))


@pytest.fixture(scope="module")
def test_split():
    return taus_and_jets(np.random.default_rng(2))


@pytest.fixture(scope="module")
def points(validation):
    return derive(validation, SEQUENTIAL)


def fraction(passed, chosen, weights=None):
    weights = np.ones(len(chosen)) if weights is None else weights
    return weights[passed & chosen].sum() / weights[chosen].sum()


def test_the_flattened_score_of_an_independent_signal_sample_is_uniform(points, test_split):
    flat = points.flattened(test_split.score, test_split.columns)[test_split.is_signal]
    assert flat.dtype == np.float32
    uniform = np.quantile(flat, np.linspace(0.05, 0.95, 19))
    np.testing.assert_allclose(uniform, np.linspace(0.05, 0.95, 19), atol=0.01)


def test_a_working_point_of_an_efficiency_is_a_cut_on_the_flattened_score(points, test_split):
    score, columns = test_split.score, cut_variables(test_split)
    flat, passed = points.flattened(score, columns), points.passes(score, columns)
    np.testing.assert_array_equal(passed["medium"], flat <= np.float32(0.75))
    three = columns["prongs"] == 3
    np.testing.assert_array_equal(passed["per_prong"][three], flat[three] <= np.float32(0.6))
    np.testing.assert_array_equal(passed["per_prong"][~three], passed["medium"][~three])


def test_the_flattened_score_falls_as_the_score_rises_all_else_equal(points):
    score = np.linspace(0, 1, 4001)
    for prongs, pt, mu in ((1, 25e3, 20.0), (1, 80e3, 55.0), (3, 33e3, 35.0)):
        columns = {
            "prongs": np.full(4001, prongs),
            "pt": np.full(4001, pt),
            "mu": np.full(4001, mu),
        }
        flat = points.flattened(score, columns)
        assert (np.diff(flat) <= 0).all()
        assert flat[0] == 1
        assert flat[-1] == 0


def test_a_rejection_is_that_of_an_independent_sample_for_each_number_of_prongs(points, test_split):
    passed = points.passes(test_split.score, cut_variables(test_split))["clean"]
    for prongs in (1, 3):
        jets = ~test_split.is_signal & (test_split.columns["prongs"] == prongs)
        expected = jets.sum() / 20
        assert abs((passed & jets).sum() - expected) < 3 * np.sqrt(2 * expected)


def test_sequential_points_are_relative_to_those_that_they_require(points, test_split):
    passed = points.passes(test_split.score, cut_variables(test_split))
    signal, jets = test_split.is_signal, ~test_split.is_signal
    assert abs(fraction(passed["no_e"], signal) - 0.95) < 0.005
    assert abs(fraction(passed["no_e_medium"], signal & passed["no_e"]) - 0.75) < 0.01
    assert not (passed["no_e_medium"] & ~passed["no_e"]).any()
    assert not (passed["no_e_clean"] & ~passed["no_e_medium"]).any()
    assert abs(1 / fraction(passed["no_e_clean"], jets & passed["no_e_medium"]) - 5) < 1.2


def test_working_points_survive_json(points, test_split):
    again = WorkingPoints.from_json(json.loads(json.dumps(points.as_json())))
    assert again.names == points.names == tuple(SEQUENTIAL.points)
    assert again.needs == ("pt", "mu", "prongs", "against_e", "against_jet")
    columns = cut_variables(test_split)
    passed = points.passes(test_split.score, columns)
    restored = again.passes(test_split.score, columns)
    for name in points.names:
        np.testing.assert_array_equal(passed[name], restored[name])
    assert again.as_json() == points.as_json()


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.update(version=2),
        lambda c: c["maps"].pop("signal_score"),
        lambda c: c["maps"].pop("signal_score+no_e"),
        lambda c: c["points"]["no_e"].update(requires=["no_e_medium"]),
        lambda c: c["points"]["no_e"].update(requires=["nothing"]),
        lambda c: c["maps"]["signal_score"]["efficiencies"].reverse(),
        lambda c: c["maps"]["signal_score"]["grids"]["1p"]["cuts"].pop(),
        lambda c: c["maps"]["signal_score"]["grids"]["1p"]["cuts"].reverse(),
        lambda c: c["maps"]["signal_score"]["grids"].update({"../x": {}}),
        lambda c: c["maps"]["signal_score"]["grids"]["1p"]["centres"][0].reverse(),
        lambda c: c.pop("points"),
    ],
)
def test_a_damaged_file_is_refused(points, damage):
    content = json.loads(json.dumps(points.as_json()))
    damage(content)
    with pytest.raises(CorruptError):
        WorkingPoints.from_json(content)


@pytest.mark.parametrize("content", [None, [], "x", {"version": 1}])
def test_content_of_another_format_is_refused(content):
    with pytest.raises(CorruptError):
        WorkingPoints.from_json(content)


def test_without_quantities_to_be_flat_in_there_is_one_cut_for_each_number_of_prongs(validation):
    points = derive(validation, WorkingPointSettings(flat_in=()))
    passed = points.passes(validation.score, validation.columns)["medium"]
    for prongs in (1, 3):
        of_prongs = validation.columns["prongs"] == prongs
        assert (
            validation.score[of_prongs & passed].min() > validation.score[of_prongs & ~passed].max()
        )
        assert abs(fraction(passed, validation.is_signal & of_prongs) - 0.75) < 1e-3
    assert points.needs == ("prongs",)


def test_without_spectators_there_is_one_cut(validation):
    bare = derive(
        validation.__class__(
            validation.probabilities, validation.labels, validation.weights,
            classes=validation.classes, signal=validation.signal,
        ),
        WorkingPointSettings(),
    )  # fmt: skip
    assert bare.needs == ()
    assert (
        abs(fraction(bare.passes(validation.score, {})["tight"], validation.is_signal) - 0.6) < 1e-3
    )


def test_negative_weights_are_efficiencies_of_the_weighted_sample():
    sample = taus_and_jets(np.random.default_rng(4), negative=0.15)
    other = taus_and_jets(np.random.default_rng(5), negative=0.15)
    points = derive(sample, WorkingPointSettings())
    passed = points.passes(other.score, other.columns)
    for name, at in (("tight", 0.6), ("medium", 0.75), ("very_loose", 0.95)):
        number = 60_000 * 0.7**2 / 2  # (sum w)^2 / sum w^2 of exponential weights, 15 % negative
        error = np.sqrt(2 * at * (1 - at) / number)
        assert abs(fraction(passed[name], other.is_signal, other.weights) - at) < 3.5 * error


def test_poor_statistics_give_a_note_and_too_poor_ones_an_error():
    rng = np.random.default_rng(6)
    few = taus_and_jets(rng, signal=120, background=300)
    points = derive(few, WorkingPointSettings())
    assert "one cut for all of them, not flat in pt and mu" in " ".join(points.notes)
    few.columns["prongs"][np.flatnonzero(few.is_signal)[:5]] = 2
    points = derive(few, WorkingPointSettings())
    assert any("only 5 2-prong signal candidates" in note for note in points.notes)
    two = few.columns["prongs"] == 2
    assert not points.passes(few.score, few.columns)["very_loose"][two].any()
    with pytest.raises(DataError, match="at least 20 signal candidates"):
        derive(taus_and_jets(rng, signal=15, background=300), WorkingPointSettings())


def test_a_number_of_prongs_without_a_target_never_passes(validation):
    settings = WorkingPointSettings(points={"one": {"efficiency": {"1p": 0.75}}})
    points = derive(validation, settings)
    three = validation.columns["prongs"] == 3
    assert not points.passes(validation.score, validation.columns)["one"][three].any()
    assert points.notes == (
        "one: the settings have no efficiency for 3-prong candidates: none of them pass",
    )


def test_a_working_point_that_cannot_be_derived_is_an_error_that_says_why(validation):
    far = WorkingPointSettings(points={"far": {"rejection": 1e5}})
    with pytest.raises(DataError, match="far: a rejection of 100000 needs at least 1e"):
        derive(validation, far)
    with pytest.raises(DataError, match="need the column 'nvtx'"):
        derive(validation, WorkingPointSettings(flat_in=("nvtx",)))
    with pytest.raises(DataError, match="need the column 'against_mu'"):
        derive(
            validation,
            WorkingPointSettings(points={"x": {"efficiency": 0.5, "score": "against_mu"}}),
        )
    modes = validation.__class__(
        validation.probabilities, validation.labels, validation.weights,
        classes=validation.classes, signal=validation.classes,
    )  # fmt: skip
    with pytest.raises(DataError, match="need background"):
        derive(modes, WorkingPointSettings())


@pytest.mark.parametrize("name", ["pt", "the score", "the weight"])
def test_values_that_are_not_finite_are_refused_by_name(name):
    sample = taus_and_jets(np.random.default_rng(9), signal=300, background=300)
    values = {"the score": sample.probabilities[:, 2], "the weight": sample.weights}
    values.get(name, sample.columns["pt"])[7] = np.nan
    with pytest.raises(DataError, match=f"{name} is not finite for 1 of 600"):
        derive(sample, WorkingPointSettings())
