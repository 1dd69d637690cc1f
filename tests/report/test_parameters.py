"""Hyperparameters in a report, conditional ones included: importances, axes, figures."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tauopt.config.settings.objective import Goal
from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis
from tauopt.report.figure_inputs import parameter_axes, trial_points, with_common_names
from tauopt.report.hyperparameter_importances import RankedTrials, importances, trials_to_rank
from tauopt.report.search_record import gather
from tauopt.report.write_report import write_report
from tauopt.study.trial_attributes import VALUES
from tests.report import studies as report_studies
from tests.report.studies import OBJECTIVE, RecordedStudy

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
    """A search in which the learning rate alone decides the first objective."""
    rng = np.random.default_rng(seed)
    search = RecordedStudy(folder, objectives=objectives)
    for number in range(complete + pruned):
        params = random_params(rng)
        if number < seldom:
            params["training.momentum"] = float(rng.uniform(0.5, 0.9))
        value = 50 - 20 * abs(np.log10(params["training.learning_rate"]) + 2.2)
        state = TrialState.COMPLETE if number < complete else TrialState.PRUNED
        values = [value, value + 1] if state is TrialState.COMPLETE else [value]
        others = [float(params.get("model.rnn.units", 5))] * (len(objectives) - 1)
        search.trial(state, values, ask=0, end=1, params=params, others=others, plan=False)
    return search


def record_of(search):
    return gather(search.study, search.folder, now=0.0, driver="none")


def test_the_parameter_that_decides_is_the_most_important_of_each_objective(tmp_path):
    search = searched(tmp_path, complete=60, objectives=(OBJECTIVE, "parameters"))
    ranked = trials_to_rank(record_of(search))
    ranks = importances(ranked)
    assert (len(ranked.trials), ranked.judged_by) == (60, "complete")
    by_path = {share.path: share for share in ranks[OBJECTIVE]}
    known = {path: s.value for path, s in by_path.items() if s.value is not None}
    assert max(known, key=known.get) == "training.learning_rate"
    assert sum(known.values()) == pytest.approx(1.0)
    assert known["training.learning_rate"] > 0.5
    assert all(0 <= by_path[p].low <= v <= by_path[p].high <= 1 for p, v in known.items())
    shares = {
        name: {share.path: share.value for share in by_objective}
        for name, by_objective in ranks.items()
    }
    assert set(shares) == {OBJECTIVE, "parameters"}
    assert shares["parameters"]["model.type"] > shares[OBJECTIVE]["model.type"]


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.02])
def test_errors_of_importances_have_the_size_of_the_scatter_between_searches(noise):
    """The bootstrap error of one search is within a factor of two of the scatter of many."""
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
        share = importances(ranked)[OBJECTIVE][0]
        values.append(share.value)
        errors.append(share.value - share.low)
    assert 0.5 < np.median(errors) / np.std(values, ddof=1) < 2.0


def test_importances_are_reproducible(tmp_path):
    ranked = trials_to_rank(record_of(searched(tmp_path, complete=12)))
    assert importances(ranked) == importances(ranked)


def test_a_parameter_that_never_varies_or_is_seldom_active_is_not_ranked_and_the_reason_is_given(
    tmp_path,
):
    ranked = trials_to_rank(record_of(searched(tmp_path, complete=30, seldom=3)))
    by_path = {share.path: share for share in importances(ranked)[OBJECTIVE]}
    assert by_path["training.optimizer"].why_not == "always adam"
    assert by_path["training.momentum"].why_not == "active in 3 trials only"
    assert by_path["training.momentum"].value is None
    count = sum("model.rnn.units" in trial.params for trial in ranked.trials)
    assert (by_path["model.rnn.units"].active, by_path["model.rnn.units"].why_not) == (count, "")


def test_few_complete_trials_are_ranked_with_pruned_ones_where_enough_reported(tmp_path):
    ranked = trials_to_rank(record_of(searched(tmp_path, complete=4, pruned=20)))
    assert len(ranked.trials) == 24
    assert ranked.judged_by == "complete and pruned, as they stood at report 1"
    values = {share.path: share.value for share in importances(ranked)[OBJECTIVE]}
    assert values["training.learning_rate"] == max(v for v in values.values() if v is not None)


def test_importances_need_ten_trials(tmp_path):
    assert trials_to_rank(record_of(searched(tmp_path, complete=4, pruned=5))) is None


def test_one_axis_stands_for_a_setting_of_all_architectures_with_the_union_of_their_ranges(
    tmp_path,
):
    record = record_of(searched(tmp_path, complete=20))
    axes = {axis.path: axis for axis in parameter_axes(record, most=99)}
    assert axes["model.dropout"] == NumberAxis("model.dropout", 0.0, 0.4)
    assert axes["model.units"] == NumberAxis("model.units", 16, 48, log=True, whole=True)
    assert axes["model.type"] == ChoiceAxis("model.type", ("rnn", "deepsets"))
    assert axes["training.learning_rate"].log
    assert "training.optimizer" not in axes  # it does not vary
    shown = with_common_names(trial_points(record))
    assert all("model.dropout" in trial.params for trial in shown)
    assert 0 < sum("model.units" in trial.params for trial in shown) < 20


def test_the_most_important_parameters_are_kept_in_table_order_if_there_are_too_many(tmp_path):
    record = record_of(searched(tmp_path, complete=20))
    kept = parameter_axes(record, most=2, first=["training.learning_rate", "model.rnn.units"])
    assert [axis.path for axis in kept] == ["training.learning_rate", "model.units"]


def test_the_axis_of_a_parameter_that_the_study_holds_as_a_code_spans_its_values(tmp_path):
    search = RecordedStudy(tmp_path)
    for rate in (1e-4, 1e-3, 1e-1):
        params = {"model.hyperparameters.rate": rate, "model.hyperparameters.wide": rate > 0.01}
        search.trial(
            TrialState.COMPLETE, [1.0], ask=0, end=1, plan=False, attributes={VALUES: params}
        )
    rate, wide = parameter_axes(record_of(search), most=9)
    assert rate == NumberAxis("model.hyperparameters.rate", 1e-4, 1e-1, log=True)
    assert wide == ChoiceAxis("model.hyperparameters.wide", (False, True))


def test_a_conditional_space_has_all_its_figures_on_the_page(tmp_path):
    search = searched(tmp_path, complete=15)
    report = write_report(record_of(search), tmp_path / "report")
    assert report.problems == ()
    names = {path.stem for path in report.files if path.suffix == ".png"}
    assert names == {"progress", "learning", "importance", "parallel", "slices", "timeline"}
