"""Several objectives: pruned by the first one alone, and sampled for all."""

import math

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from tauopt.config.settings.experiment import Pruner, Sampler, Search
from tauopt.config.settings.ranges import ChoiceRange, FloatRange
from tauopt.study.pruners import make_pruner
from tauopt.study.storage_views import for_pruners, for_samplers, stopped_as_worst
from tauopt.study.trial_attributes import CONFIRMS
from tauopt.study.trial_queue import TrialQueue
from tests.metrics.test_pareto import slow_fronts

SPACE = {"x": FloatRange(0.0, 1.0), "cost": FloatRange(0.0, 1.0)}
BOTH = ["maximize", "minimize"]
REPORTS = 9
PRUNERS = {
    "asha": Pruner(type="asha", reduction_factor=2),
    "asha, two reports": Pruner(type="asha", reduction_factor=3, min_reports=2),
    "hyperband": Pruner(type="hyperband", reduction_factor=3),
    "median": Pruner(type="median", startup=2),
    "none": Pruner(type="none"),
}


def make_study(tmp_path=None, *, directions=BOTH, pruner=None):
    return optuna.create_study(
        study_name="s",
        storage=f"sqlite:///{tmp_path}/studies.db" if tmp_path else None,
        directions=directions,
        load_if_exists=True,
        pruner=pruner or optuna.pruners.NopPruner(),
    )


def settings(trials, sampler="random", **kwargs):
    return Search(trials=trials, sampler=Sampler(type=sampler, seed=5, startup=4), **kwargs)


def curves(trials, seed=3):
    """Rising objectives, (trial, report), that cross each other; ties too."""
    rng = np.random.default_rng(seed)
    ends, rates = rng.random((2, trials))
    steps = np.arange(1, REPORTS + 1)
    return np.round(ends[:, None] * (1 - np.exp(-rates[:, None] * steps)), 2).tolist()


def outcome(study):
    """Return state, reports and rungs of each trial."""
    return [
        (t.state, t.intermediate_values,
         {k: v for k, v in t.system_attrs.items() if k.startswith("completed_rung")})
        for t in study.get_trials()
    ]  # fmt: skip


def in_turns(curves, *, begin, report, concurrent=3):
    """Let trials report one after another, some at a time, as workers do."""
    waiting, running = list(range(len(curves))), {}
    while waiting or running:
        while waiting and len(running) < concurrent:
            begin(waiting[0])
            running[waiting.pop(0)] = 0
        for number in list(running):
            running[number] += 1
            if report(number, running[number]) or running[number] == REPORTS:
                del running[number]


def stopped_by_optuna(pruner, curves):
    """The reference: Optuna's own `report` and `should_prune` on a study of one objective."""
    study = make_study(directions=["maximize"], pruner=make_pruner(pruner, reports=REPORTS))
    study.sampler = RandomSampler(seed=1)
    live = {}

    def report(number, step):
        trial, value = live[number], curves[number][step - 1]
        trial.report(value, step)
        if step == REPORTS:
            study.tell(trial, max(curves[number]))
        elif trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return True
        return False

    in_turns(curves, begin=lambda number: live.update({number: study.ask()}), report=report)
    return study


def stopped_by_us(pruner, curves, *, open_queue):
    """The same with several objectives; `open_queue()` returns the trial queue at each call."""

    def begin(number):
        assert open_queue().next_trial().number == number

    def report(number, step):
        value, queue = curves[number][step - 1], open_queue()
        if step == REPORTS:
            best = max(curves[number])
            queue.complete(number, step, value, best=best, others=(float(number % 5),))
        elif queue.report(number, step, value):
            queue.prune(number)
            return True
        return False

    in_turns(curves, begin=begin, report=report)


@pytest.mark.parametrize("name", PRUNERS)
def test_trials_are_stopped_as_if_the_first_objective_were_the_only_one(name):
    pruner, some = PRUNERS[name], curves(24)
    reference = stopped_by_optuna(pruner, some)
    study = make_study(pruner=make_pruner(pruner, reports=REPORTS))
    queue = TrialQueue(study, settings(24), space=SPACE)
    stopped_by_us(pruner, some, open_queue=lambda: queue)
    assert outcome(study) == outcome(reference)
    states = {t.state for t in study.trials}
    assert states == {TrialState.COMPLETE} | ({TrialState.PRUNED} if name != "none" else set())


def test_rungs_are_those_of_the_database_for_each_new_driver(tmp_path):
    """A new driver on a new connection for every third call, see also `test_decision_records`."""
    pruner, some = PRUNERS["hyperband"], curves(12, seed=7)
    calls, present = [], []

    def open_queue():
        calls.append(1)
        if len(calls) % 3 == 1:
            for before in present:
                before.settle()
            study = make_study(tmp_path, pruner=make_pruner(pruner, reports=REPORTS))
            queue = TrialQueue(study, settings(12), space=SPACE)
            running = [t.number for t in study.trials if t.state is TrialState.RUNNING]
            assert [queue.next_trial().number for _ in running] == running
            present[:] = [queue]
        return present[0]

    stopped_by_us(pruner, some, open_queue=open_queue)
    assert len(calls) > 30
    assert outcome(make_study(tmp_path)) == outcome(stopped_by_optuna(pruner, some))


def test_pruners_see_one_objective_and_write_into_the_study():
    study = make_study()
    trial = study.ask()
    study.tell(trial, (0.5, 3.0))
    seen = for_pruners(study)
    assert [d.name for d in seen.directions] == ["MAXIMIZE"]
    assert [t.value for t in seen.trials] == [0.5]
    assert study.trials[0].values == [0.5, 3.0]
    running = seen.ask()
    running.report(0.25, 1)
    assert study.trials[1].intermediate_values == {1: 0.25}


def test_pruners_and_samplers_do_not_see_what_confirms_a_point():
    study = make_study(directions=["maximize"])
    study.enqueue_trial({}, user_attrs={CONFIRMS: 0})
    for seen in (for_pruners(study), for_samplers(study)):
        first = seen.ask()
        study.tell(first, 0.5)
    assert [t.user_attrs.get(CONFIRMS) for t in study.trials] == [0, None]
    for seen in (for_pruners(study), for_samplers(study)):
        assert [t.number for t in seen.trials] == [1]


def test_optuna_itself_still_refuses_reports_of_several_objectives():
    """The reason for the views; when this fails, Optuna can do without them."""
    trial = make_study().ask()
    with pytest.raises(NotImplementedError):
        trial.report(0.5, 1)
    with pytest.raises(NotImplementedError):
        trial.should_prune()


def mixed(sampler, *, trials, pruned=lambda number: number % 2):
    """A study of two objectives in which every other trial is stopped."""
    study = make_study()
    queue = TrialQueue(study, settings(trials, sampler), space=SPACE)
    while (proposal := queue.next_trial()) is not None:
        x, cost = proposal.params["x"], proposal.params["cost"]
        value = 1 - (x - 0.3) ** 2 + 0.2 * cost
        if pruned(proposal.number):
            queue.report(proposal.number, 1 + proposal.number % 3, value / 2)
            queue.prune(proposal.number)
        else:
            queue.complete(proposal.number, 3, value, best=value, others=(cost,))
    return study


def test_optuna_s_tpe_itself_still_fails_on_stopped_trials_of_several_objectives():
    """The reason for the samplers' view."""
    study = mixed("random", trials=12)
    study.sampler = TPESampler(n_startup_trials=4, multivariate=True, seed=1)
    with pytest.raises(RuntimeError, match="single direction"):
        study.ask().suggest_float("x", 0.0, 1.0)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_sampler_goes_on_with_stopped_trials_and_is_repeatable(sampler):
    params = [t.params for t in mixed(sampler, trials=20).trials]
    assert len({str(p) for p in params}) == 20
    assert params == [t.params for t in mixed(sampler, trials=20).trials]


def test_tpe_searches_the_front_of_both_objectives():
    """Best is x = 0.3 at every cost: the front is a line, which TPE comes near to all along."""
    study = mixed("tpe", trials=60, pruned=lambda number: number % 4 == 3)
    late = [t.params for t in study.trials[30:]]
    assert np.median([abs(p["x"] - 0.3) for p in late]) < 0.15
    assert np.ptp([p["cost"] for p in late]) > 0.5


def test_samplers_see_stopped_trials_as_worse_than_complete_ones_in_optuna_s_order():
    study = mixed("random", trials=24)
    seen = for_samplers(study).trials
    assert {t.state for t in seen} == {TrialState.COMPLETE}
    fronts_of_all = slow_fronts([t.values for t in seen], larger=(True, False))
    stopped = [t for t in study.trials if t.state is TrialState.PRUNED]
    complete = [fronts_of_all[t.number] for t in study.trials if t.state is TrialState.COMPLETE]
    further = sorted(stopped, key=lambda t: max(t.intermediate_values.items()), reverse=True)
    fronts = [fronts_of_all[t.number] for t in further]
    assert fronts == sorted(set(fronts))
    assert max(complete) < min(fronts)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_stopped_trials_is_the_one_by_which_optuna_s_tpe_takes_them(seed):
    rng, study = np.random.default_rng(seed), make_study(directions=["maximize"])
    for _ in range(12):
        trial = study.ask()
        for step in range(1, 1 + rng.integers(0, 4)):
            trial.report(float(rng.normal()), step)
        study.tell(trial, state=TrialState.PRUNED)
    seen = stopped_as_worst(study.get_trials(), directions=study.directions)
    ours = [t.number for t in sorted(seen, key=lambda t: -t.values[0])]
    for taken in range(1, 12):
        better, _ = _split_trials(study, study.get_trials(), taken)
        silent = [t for t in better if not t.intermediate_values]  # all alike to Optuna
        assert {t.number for t in better if t not in silent} <= set(ours[:taken])
        assert len(better) == taken


def test_stopped_trials_alone_have_an_order_too():
    study = mixed("random", trials=6, pruned=lambda number: True)
    values = [t.values for t in for_samplers(study).trials]
    assert len({first for first, _ in values}) == 6
    assert {other for _, other in values} == {0.0}


@pytest.mark.parametrize("other", [math.nan, math.inf])
def test_another_objective_that_is_not_finite_fails_the_trial(other):
    study = make_study()
    queue = TrialQueue(study, settings(1), space=SPACE)
    queue.complete(queue.next_trial().number, 1, 0.5, best=0.5, others=(other,))
    assert study.trials[0].state is TrialState.FAIL
    assert "not finite" in study.trials[0].user_attrs["reason"]


def test_a_duplicate_takes_all_values():
    space = {"x": ChoiceRange(tuple(n / 8 for n in range(8)))}
    study = make_study()
    queue = TrialQueue(study, settings(50), space=space)
    while (proposal := queue.next_trial()) is not None:
        x = proposal.params["x"]
        queue.complete(proposal.number, 1, x, best=x, others=(1 - x,))
    assert all(t.values == [t.params["x"], 1 - t.params["x"]] for t in study.trials)
    assert [t for t in study.trials if "duplicate_of" in t.user_attrs]
