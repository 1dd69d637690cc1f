import dataclasses

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tauopt.config.load import read_experiment
from tauopt.errors import CorruptError
from tauopt.study.samplers import make_sampler
from tauopt.study.search_setup import starting_points
from tauopt.study.storage_views import for_samplers
from tauopt.study.suggest import distribution
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.warm_trials import POINTS, frozen_history, read_warm, warm_start, write_warm
from tests.search.searches import write_experiment

RATE, UNITS = "training.learning_rate", "model.units"


def read(folder, *overrides):
    return read_experiment(write_experiment(folder, trials=20), overrides=overrides)


def done(file, value, *, state=TrialState.COMPLETE, **params):
    values = {UNITS: 8, RATE: 3e-3} | {name.replace("__", "."): v for name, v in params.items()}
    return create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params=values,
        distributions={path: distribution(file.space[path]) for path in values},
        intermediate_values={1: value},
    )


def numbered(trials):
    for number, trial in enumerate(trials):
        trial.number = number
    return trials


@pytest.fixture
def before(tmp_path):
    return read(tmp_path)


def warm(trials, before, file, **more):
    return warm_start(
        "old", numbered(trials), before, file, **{"same_data": True, "same_method": True} | more
    )


def test_the_best_points_come_first_and_every_outcome_is_learned_from(before):
    values = [0.5, 0.9, 0.7, 0.8, 0.6, 0.95, 0.4]
    trials = [done(before, v, training__learning_rate=1e-3 + 1e-3 * v) for v in values]
    trials.append(done(before, 0.3, state=TrialState.PRUNED, training__learning_rate=9e-3))
    trials.append(done(before, 0.2, state=TrialState.FAIL, training__learning_rate=8e-3))
    taken = warm(trials, before, before)
    best = sorted(values, reverse=True)[:POINTS]
    assert [point[RATE] for point in taken.points] == [1e-3 + 1e-3 * v for v in best]
    assert taken.numbers == (5, 1, 3, 2, 4)
    assert [past.number for past in taken.history] == [*range(8)]
    assert taken.notes == ("1 trials left out: they failed",)
    assert [*taken.lines()] == [
        "from old: 5 points to try first, 8 trials to learn from",
        "  tried first: t005, t001, t003, t002, t004",
        "  learned from: t000, t001, t002, t003, t004, t005, t006, t007",
        "  1 trials left out: they failed",
    ]


def test_a_point_that_was_trained_twice_is_ranked_by_its_best_value(before):
    trials = [done(before, v, model__units=u) for v, u in [(0.9, 8), (0.8, 9), (0.7, 8)]]
    assert [point[UNITS] for point in warm(trials, before, before).points] == [8, 9]


def test_a_search_begins_with_the_defaults_also_if_the_earlier_one_did(before):
    trials = [done(before, 0.9, model__units=5), done(before, 0.8, **before.defaults())]
    starts = starting_points(before, None, warm(trials, before, before))
    assert [point[UNITS] for point in starts] == [before.defaults()[UNITS], 5]


def test_a_point_outside_the_new_ranges_is_moved_inside_and_not_learned_from(before, tmp_path):
    file = read(tmp_path, "model.units={int: [4, 6]}")
    taken = warm(
        [done(before, 0.9, model__units=16), done(before, 0.8, model__units=5)], before, file
    )
    assert [point[UNITS] for point in taken.points] == [6, 5]
    assert [past.params[UNITS] for past in taken.history] == [5]
    assert taken.notes == ("model.units was 16, moved to 6 (int [4, 6]) (in 1 of 2 trials)",)


def test_a_setting_that_became_a_range_has_the_value_that_it_was_trained_with(before, tmp_path):
    file = read(tmp_path, "training.batch_size={choice: [128, 256]}")
    taken = warm([done(before, 0.9)], before, file)
    assert taken.points[0]["training.batch_size"] == 256
    assert len(taken.history) == 1


def test_a_range_that_is_fixed_now_is_dropped_with_a_note(before, tmp_path):
    file = read(tmp_path, "model.units=8")
    taken = warm([done(before, 0.9), done(before, 0.95, model__units=12)], before, file)
    assert [*taken.points[0]] == [RATE]
    assert len(taken.points) == 1  # the same point, once
    assert len(taken.history) == 1
    assert taken.notes == ("model.units was 12, is 8 now (in 1 of 2 trials)",)


def test_other_settings_data_or_objectives_give_points_and_no_values(before, tmp_path):
    trials = [done(before, 0.9)]
    longer = warm(trials, before, read(tmp_path, "training.epochs=9"))
    assert longer.notes == ("training.epochs was 2, is 9 now (in 1 of 1 trials)",)
    other_data = warm(trials, before, before, same_data=False)
    other_method = warm(trials, before, before, same_method=False)
    goal = warm(trials, before, read(tmp_path, "objective.maximize=rejection@0.75"))
    for taken in (longer, other_data, other_method, goal):
        assert len(taken.points) == 1
        assert not taken.history
    assert "its dataset is another" in other_data.notes[0]
    assert "trained in another way" in other_method.notes[0]
    assert any("its objectives are others" in note for note in goal.notes)


def test_a_search_of_several_architectures_takes_over_those_it_has(before, tmp_path):
    several = read_experiment("search_spaces/any.yaml")
    rnn = read_experiment("search_spaces/rnn.yaml")
    point = rnn.defaults()
    trial = create_trial(
        state=TrialState.COMPLETE,
        value=10.0,
        params=point,
        distributions={path: distribution(rnn.space[path]) for path in point},
    )
    taken = warm_start("old", [trial], rnn, several, same_data=True, same_method=True)
    assert taken.points[0]["model.type"] == "rnn"
    assert set(taken.points[0]) <= set(several.space)
    nothing = warm([done(before, 0.9)], before, several)
    assert not nothing.points
    assert "their network is dense, not" in nothing.notes[0]


def test_a_warm_start_reads_back(before, tmp_path):
    assert read_warm(tmp_path) is None
    taken = warm([done(before, 0.9), done(before, 0.3, state=TrialState.PRUNED)], before, before)
    write_warm(tmp_path, taken)
    assert dataclasses.asdict(read_warm(tmp_path)) == dataclasses.asdict(taken)
    (tmp_path / "warm_start.json").write_text("{}")
    with pytest.raises(CorruptError, match=r"warm_start\.json: expected a warm start"):
        read_warm(tmp_path)


def history(before):
    """Thirty trials with the best values at a learning rate of 0.003 and 16 units."""
    trials = []
    for n in range(30):
        rate, units = 1e-3 * 10 ** (n / 30), 4 + (7 * n) % 13
        value = 1 - abs(rate - 3e-3) * 100 - abs(units - 16) / 100
        trials.append(done(before, value, training__learning_rate=rate, model__units=units))
    return warm(trials, before, before)


def proposals(before, earlier, *, count=10):
    """The points that a TPE proposes in a new study, none of which has ended."""
    study = optuna.create_study(direction="maximize")
    sampler = before.base.search.sampler.model_copy(update={"type": "tpe"})
    settings = before.base.search.model_copy(update={"trials": count, "sampler": sampler})
    queue = TrialQueue(study, settings, space=before.space, history=earlier)
    return study, [queue.next_trial().params for _ in range(count)]


def test_the_sampler_learns_from_the_earlier_search(before):
    earlier = frozen_history(history(before), before.space)
    _, cold = proposals(before, [])
    study, taught = proposals(before, earlier)

    def mean_distance(points):
        return sum(abs(point[RATE] - 3e-3) for point in points) / len(points)

    assert mean_distance(taught) < 0.6 * mean_distance(cold)
    assert [t.number for t in study.trials] == list(range(10))  # nothing foreign is in the study


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "qmc", "random"])
def test_every_sampler_accepts_a_history(before, sampler):
    study = optuna.create_study(direction="maximize")
    settings = before.base.search.sampler.model_copy(update={"type": sampler, "startup": 1})
    seen = for_samplers(study, frozen_history(history(before), before.space))
    for number in range(4):
        seen.sampler = make_sampler(settings, pruner="none", number=number)
        trial = seen.ask()
        trial.suggest_int(UNITS, 4, 16, log=True)
        trial.suggest_float(RATE, 1e-3, 1e-2, log=True)
        study.tell(trial.number, 0.1 * number)
    assert len(study.trials) == 4
