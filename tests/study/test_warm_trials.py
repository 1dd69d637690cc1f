import dataclasses
import json

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tauopt.config.load import read_experiment
from tauopt.errors import CorruptError
from tauopt.study.samplers import make_sampler
from tauopt.study.starting_points import starting_points
from tauopt.study.storage_views import for_samplers
from tauopt.study.suggest import distribution
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.warm_start_record import (
    POINTS,
    frozen_history,
    joined,
    read_warm,
    write_warm,
)
from tauopt.study.warm_trials import warm_start
from tests.search.searches import write_experiment

RATE, UNITS = "training.learning_rate", "model.units"


def read(folder, *overrides):
    return read_experiment(write_experiment(folder, trials=20), overrides=overrides)


def done(file, value, *, state=TrialState.COMPLETE, **params):
    values = {UNITS: 8, RATE: 3e-3} | {name.replace("__", "."): v for name, v in params.items()}
    values = {path: v for path, v in values.items() if path in file.space}
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
    assert [point.params[RATE] for point in taken.points] == [1e-3 + 1e-3 * v for v in best]
    assert [point.number for point in taken.points] == [5, 1, 3, 2, 4]
    assert [point.value for point in taken.points] == best
    assert [past.number for past in taken.history] == [*range(8)]
    assert taken.searches[0].notes == ("1 trials left out: they failed",)
    assert [*taken.lines()] == [
        "from old: 5 points to try first, 8 trials to learn from",
        "  tried first: t005, t001, t003, t002, t004",
        "  learned from: t000, t001, t002, t003, t004, t005, t006, t007",
        "  1 trials left out: they failed",
    ]


def test_a_point_that_was_trained_twice_is_ranked_by_its_best_value(before):
    trials = [done(before, v, model__units=u) for v, u in [(0.9, 8), (0.8, 9), (0.7, 8)]]
    assert [point.params[UNITS] for point in warm(trials, before, before).points] == [8, 9]


def test_a_search_begins_with_the_defaults_also_if_the_earlier_one_did(before):
    trials = [done(before, 0.9, model__units=5), done(before, 0.8, **before.defaults())]
    starts = starting_points(before, None, warm(trials, before, before))
    assert [point.params[UNITS] for point in starts] == [before.defaults()[UNITS], 5]


def test_a_point_outside_the_new_ranges_is_moved_inside_and_not_learned_from(before, tmp_path):
    file = read(tmp_path, "model.units={int: [4, 6]}")
    taken = warm(
        [done(before, 0.9, model__units=16), done(before, 0.8, model__units=5)], before, file
    )
    assert [point.params[UNITS] for point in taken.points] == [6, 5]
    assert [past.params[UNITS] for past in taken.history] == [5]
    assert taken.searches[0].notes == (
        "model.units was 16, moved to 6 (int [4, 6]) (in 1 of 2 trials)",
    )


def test_a_setting_that_became_a_range_has_the_value_that_it_was_trained_with(before, tmp_path):
    file = read(tmp_path, "training.batch_size={choice: [128, 256]}")
    taken = warm([done(before, 0.9)], before, file)
    assert taken.points[0].params["training.batch_size"] == 256
    assert len(taken.history) == 1


def test_a_range_that_is_fixed_now_is_dropped_with_a_note(before, tmp_path):
    file = read(tmp_path, "model.units=8")
    taken = warm([done(before, 0.9), done(before, 0.95, model__units=12)], before, file)
    assert [*taken.points[0].params] == [RATE]
    assert len(taken.points) == 1  # the same point, once
    assert len(taken.history) == 1
    assert taken.searches[0].notes == ("model.units was 12, is 8 now (in 1 of 2 trials)",)


def test_other_settings_data_or_objectives_give_points_and_no_values(before, tmp_path):
    trials = [done(before, 0.9)]
    longer = warm(trials, before, read(tmp_path, "training.epochs=9"))
    assert longer.searches[0].notes == ("training.epochs was 2, is 9 now (in 1 of 1 trials)",)
    other_data = warm(trials, before, before, same_data=False)
    other_method = warm(trials, before, before, same_method=False)
    goal = warm(trials, before, read(tmp_path, "objective.maximize=rejection@0.75"))
    for taken in (longer, other_data, other_method, goal):
        assert len(taken.points) == 1
        assert not taken.history
    assert "its dataset is another" in other_data.searches[0].notes[0]
    assert "trained in another way" in other_method.searches[0].notes[0]
    assert any("its objectives are others" in note for note in goal.searches[0].notes)


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
    assert taken.points[0].params["model.type"] == "rnn"
    assert set(taken.points[0].params) <= set(several.space)
    nothing = warm([done(before, 0.9)], before, several)
    assert not nothing.points
    assert "their network is dense, not" in nothing.searches[0].notes[0]


def test_a_warm_start_reads_back(before, tmp_path):
    assert read_warm(tmp_path) is None
    taken = warm([done(before, 0.9), done(before, 0.3, state=TrialState.PRUNED)], before, before)
    write_warm(tmp_path, taken)
    assert dataclasses.asdict(read_warm(tmp_path)) == dataclasses.asdict(taken)
    (tmp_path / "warm_start.json").write_text("{}")
    with pytest.raises(CorruptError, match=r"warm_start\.json: expected a warm start"):
        read_warm(tmp_path)


def test_files_from_before_several_searches_could_be_named_are_read(before, tmp_path):
    point = before.defaults()
    past = {
        "params": point,
        "state": "COMPLETE",
        "values": [0.9],
        "reports": {"1": 0.9},
        "kinds": {},
    }
    content = {"of": "old", "points": [point], "history": [past], "notes": ["lost"]}
    for more, number in (({}, -1), ({"numbers": [7]}, 7)):
        (tmp_path / "warm_start.json").write_text(json.dumps({**content, **more}))
        read_back = read_warm(tmp_path)
        assert read_back.names == "old"
        assert read_back.points[0].number == number
        assert read_back.history[0].search == "old"
        assert [*read_back.lines()][-1] == "  lost"


def named(name, trials, before, file, **more):
    return warm_start(
        name, numbered(trials), before, file, **{"same_data": True, "same_method": True} | more
    )


def test_of_several_searches_the_most_alike_come_first_each_with_its_best(before, tmp_path):
    def trials(*rates):
        return [done(before, 1 - n / 10, training__learning_rate=r) for n, r in enumerate(rates)]

    narrower = read(tmp_path, "model.units={int: [4, 12]}")
    fewer = read(tmp_path, "model.units=8")
    other_goal = read(tmp_path, "objective.maximize=rejection@0.75")
    other_data = named("other data", trials(5e-3), before, before, same_data=False)
    starts = [
        other_data,
        named("other goal", trials(4e-3), other_goal, before),
        named("fewer", [done(fewer, 0.9, training__learning_rate=3e-3)], fewer, before),
        named("narrower", trials(1e-3, 2e-3, 3e-3), narrower, before),
        named("equal", trials(1e-3, 6e-3), before, before),
    ]
    taken = joined(starts)
    order = ["equal", "narrower", "fewer", "other goal", "other data"]
    assert [search.name for search in taken.searches] == order
    assert taken.names == ", ".join(order)
    # The narrower one's best is the best of the equal one, and is tried once.
    first = [(point.search, point.params[RATE]) for point in taken.points]
    assert first == [
        ("equal", 1e-3), ("fewer", 3e-3), ("other goal", 4e-3), ("other data", 5e-3),
        ("equal", 6e-3),
    ]  # fmt: skip
    assert {past.search for past in taken.history} == {"equal", "narrower", "fewer"}
    assert len({trial.number for trial in frozen_history(taken, before.space)}) == 6
    lines = [*taken.lines()]
    assert lines[0] == (
        "from equal (same data, same objectives, 2 ranges in both, 2 of them equal): "
        "2 points to try first, 2 trials to learn from"
    )
    assert lines[1] == "  tried first: t000, t001"


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
