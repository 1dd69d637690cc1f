"""What a report says of hyperparameters, conditional ones included."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tauopt.config.settings.objective import Goal
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis
from tauopt.report.figure_inputs import axes_of, tried_of, with_shown_params
from tauopt.report.hyperparameter_importances import RankedTrials, importances, ranked_of
from tauopt.report.search_record import gather
from tauopt.report.write_report import write_report
from tauopt.study.trial_queue import VALUES
from tests.report import studies as report_studies
from tests.report.studies import OBJECTIVE, Told

ANY = {
    "model.type": CategoricalDistribution(("rnn", "deepsets")),
    "model.rnn.dropout": FloatDistribution(0.0, 0.3),
    "model.rnn.units": IntDistribution(16, 48, log=True),
    "model.deepsets.dropout": FloatDistribution(0.0, 0.4),
    "training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "training.optimizer": CategoricalDistribution(("adam",)),
    "training.momentum": FloatDistribution(0.5, 0.9),
}


@pytest.fixture(autouse=True)
def any_space(monkeypatch):
    monkeypatch.setattr(report_studies, "SPACE", ANY)


def random_params(rng):
    type_ = str(rng.choice(["rnn", "deepsets"]))
    params = {
        "model.type": type_,
        f"model.{type_}.dropout": float(rng.uniform(0, 0.3)),
        "training.learning_rate": float(10 ** rng.uniform(-4, -2)),
        "training.optimizer": "adam",
    }
    return params | ({"model.rnn.units": int(rng.integers(16, 49))} if type_ == "rnn" else {})


def searched(folder, *, complete, pruned=0, objectives=(OBJECTIVE,), seldom=0, seed=1):
    """A search in which the learning rate alone decides."""
    rng = np.random.default_rng(seed)
    told = Told(folder, objectives=objectives)
    for number in range(complete + pruned):
        params = random_params(rng)
        if number < seldom:
            params["training.momentum"] = float(rng.uniform(0.5, 0.9))
        value = 50 - 20 * abs(np.log10(params["training.learning_rate"]) + 2.2)
        state = TrialState.COMPLETE if number < complete else TrialState.PRUNED
        values = [value, value + 1] if state is TrialState.COMPLETE else [value]
        others = [float(params.get("model.rnn.units", 5))] * (len(objectives) - 1)
        told.trial(state, values, ask=0, end=1, params=params, others=others, plan=False)
    return told


def facts_of(told):
    return gather(told.study, told.folder, now=0.0, driver="none")


def test_the_parameter_that_decides_is_the_most_important_of_each_objective(tmp_path):
    told = searched(tmp_path, complete=60, objectives=(OBJECTIVE, "parameters"))
    ranked = ranked_of(facts_of(told))
    ranks = importances(ranked)
    assert (len(ranked.trials), ranked.judged_by) == (60, "complete")
    found = {one.path: one for one in ranks[OBJECTIVE]}
    known = {path: one.value for path, one in found.items() if one.value is not None}
    assert max(known, key=known.get) == "training.learning_rate"
    assert sum(known.values()) == pytest.approx(1.0)
    assert known["training.learning_rate"] > 0.5
    assert all(0 <= found[p].low <= v <= found[p].high <= 1 for p, v in known.items())
    shares = {name: {one.path: one.value for one in some} for name, some in ranks.items()}
    assert set(shares) == {OBJECTIVE, "parameters"}
    assert shares["parameters"]["model.type"] > shares[OBJECTIVE]["model.type"]


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.02])
def test_errors_of_importances_have_the_size_of_the_scatter_between_searches(noise):
    """Resampling one search tells within a factor of two what other searches would have told."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: FloatDistribution(0.0, 1.0) for name in "ab"}
    values, errors = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        points = rng.random((60, 2))
        results = (points[:, 0] - 0.5) ** 2 + 0.5 * (points[:, 1] - 0.5) ** 2
        results += noise * rng.normal(size=60)
        drawn = tuple(
            create_trial(value=value, params=dict(zip("ab", xs, strict=True)), distributions=space)
            for xs, value in zip(points.tolist(), results.tolist(), strict=True)
        )
        ranked = RankedTrials(drawn, (tuple(results),), (Goal(OBJECTIVE, "maximize"),), "complete")
        one = importances(ranked)[OBJECTIVE][0]
        values.append(one.value)
        errors.append(one.value - one.low)
    assert 0.5 < np.median(errors) / np.std(values, ddof=1) < 2.0


def test_importances_are_the_same_when_asked_again(tmp_path):
    ranked = ranked_of(facts_of(searched(tmp_path, complete=12)))
    assert importances(ranked) == importances(ranked)


def test_what_never_varies_or_is_seldom_active_is_not_ranked_and_said(tmp_path):
    ranked = ranked_of(facts_of(searched(tmp_path, complete=30, seldom=3)))
    found = {one.path: one for one in importances(ranked)[OBJECTIVE]}
    assert found["training.optimizer"].why_not == "always adam"
    assert found["training.momentum"].why_not == "active in 3 trials only"
    assert found["training.momentum"].value is None
    count = sum("model.rnn.units" in trial.params for trial in ranked.trials)
    assert (found["model.rnn.units"].active, found["model.rnn.units"].why_not) == (count, "")


def test_few_complete_trials_are_ranked_with_pruned_ones_where_enough_reported(tmp_path):
    ranked = ranked_of(facts_of(searched(tmp_path, complete=4, pruned=20)))
    assert len(ranked.trials) == 24
    assert ranked.judged_by == "complete and pruned, as they stood at report 1"
    found = {one.path: one.value for one in importances(ranked)[OBJECTIVE]}
    assert found["training.learning_rate"] == max(v for v in found.values() if v is not None)


def test_ten_trials_are_needed(tmp_path):
    assert ranked_of(facts_of(searched(tmp_path, complete=4, pruned=5))) is None


def test_one_axis_stands_for_a_setting_of_all_architectures_with_the_union_of_their_ranges(
    tmp_path,
):
    facts = facts_of(searched(tmp_path, complete=20))
    axes = {axis.path: axis for axis in axes_of(facts, most=99)}
    assert axes["model.dropout"] == NumberAxis("model.dropout", 0.0, 0.4)
    assert axes["model.units"] == NumberAxis("model.units", 16, 48, log=True, whole=True)
    assert axes["model.type"] == ChoiceAxis("model.type", ("rnn", "deepsets"))
    assert axes["training.learning_rate"].log
    assert "training.optimizer" not in axes  # it does not vary
    shown = with_shown_params(tried_of(facts))
    assert all("model.dropout" in trial.params for trial in shown)
    assert 0 < sum("model.units" in trial.params for trial in shown) < 20


def test_of_too_many_parameters_the_foremost_are_kept_in_their_order(tmp_path):
    facts = facts_of(searched(tmp_path, complete=20))
    kept = axes_of(facts, most=2, first=["training.learning_rate", "model.rnn.units"])
    assert [axis.path for axis in kept] == ["training.learning_rate", "model.units"]


def test_a_parameter_whose_code_stands_in_the_study_takes_its_axis_from_its_values(tmp_path):
    told = Told(tmp_path)
    for rate in (1e-4, 1e-3, 1e-1):
        params = {"model.hyperparameters.rate": rate, "model.hyperparameters.wide": rate > 0.01}
        told.trial(
            TrialState.COMPLETE, [1.0], ask=0, end=1, plan=False, attributes={VALUES: params}
        )
    rate, wide = axes_of(facts_of(told), most=9)
    assert rate == NumberAxis("model.hyperparameters.rate", 1e-4, 1e-1, log=True)
    assert wide == ChoiceAxis("model.hyperparameters.wide", (False, True))


def test_a_conditional_space_has_all_its_figures_on_the_page(tmp_path):
    told = searched(tmp_path, complete=15)
    report = write_report(facts_of(told), tmp_path / "report")
    assert report.problems == ()
    names = {path.stem for path in report.files if path.suffix == ".png"}
    assert names == {"progress", "learning", "importance", "parallel", "slices", "timeline"}
