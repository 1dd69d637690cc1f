"""Trials that break a constraint: never best, never confirmed, and the sampler knows them."""

import json

from optuna.trial import TrialState

from tauopt.cli.search import next_steps
from tauopt.config.settings.experiment import Sampler, Search
from tauopt.config.settings.ranges import FloatRange
from tauopt.study.best_first import best_first, ties_of
from tauopt.study.leaderboard_rows import fronts_of, recommended
from tauopt.study.open_study import goals_of
from tauopt.study.trial_attributes import CONFIRMS, broken_constraints
from tauopt.study.trial_queue import TrialQueue
from tauopt.workflows.search import SearchResult
from tests.search.test_confirm_stage import board_of, confirming, search, services, study_of  # noqa: F401
from tests.study.test_trial_queue import make_study

FEW_UNITS = "objective.constraints={parameters: {max: 8}}"


def test_a_trial_that_breaks_a_constraint_is_ranked_last_and_not_confirmed(tmp_path):
    confirm = "search.confirm={top: 3, seeds: 2}"
    search(tmp_path, trials=8, overrides=[FEW_UNITS, confirm])
    trials = study_of(tmp_path).trials
    own = [trial for trial in trials if CONFIRMS not in trial.user_attrs]
    broken = {t.number for t in own if t.params["model.units"] > 8}
    assert 0 < len(broken) < 8
    best_value = max(own, key=lambda trial: trial.values[0])
    board = [row for row in board_of(tmp_path) if row.rank]
    assert [bool(row.broken) for row in board] == [False] * (8 - len(broken)) + [True] * len(broken)
    assert {row.number for row in board if row.broken} == broken
    assert [trial.number for trial in best_first(trials)] == [row.number for row in board]
    assert not broken & set(ties_of(trials))
    assert not broken & {t.user_attrs[CONFIRMS] for t in confirming(tmp_path)}
    assert recommended(board) is board[0]
    (said,) = board[-1].broken
    assert said == f"parameters is {board[-1].params['model.units']}, allowed at most 8"
    assert board[-1].state_in_words == "complete, breaks 1 constraint"
    if best_value.number in broken:
        assert board[0].value < best_value.values[0]
    assert all((t.constraints["parameters"] > 0) == (t.number in broken) for t in own)
    record = json.loads((tmp_path / "out/searches/toy/leaderboard.json").read_text())
    assert {row["number"] for row in record if row["broken"]} == broken


def test_where_no_trial_keeps_the_constraints_none_is_recommended(tmp_path):
    search(tmp_path, trials=3, overrides=["objective.constraints={parameters: {max: 1}}"])
    board = board_of(tmp_path)
    assert recommended(board) is None
    goals = goals_of(study_of(tmp_path))
    result = SearchResult("toy", "complete", tuple(goals), tuple(board), tmp_path)
    (line,) = [each for each in next_steps(result, tmp_path) if "keeps all constraints" in each]
    assert f"t{board[0].number:03d}: parameters is" in line
    assert not any(each.startswith("promote:") for each in next_steps(result, tmp_path))


def test_fronts_of_trials_that_break_a_constraint_follow_the_others(tmp_path):
    search(tmp_path, trials=8, overrides=[FEW_UNITS, "objective.minimize=parameters"])
    trials = study_of(tmp_path).trials
    found = fronts_of(trials, goals_of(study_of(tmp_path)))
    kept = [found[t.number] for t in trials if not broken_constraints(t)]
    broken = [found[t.number] for t in trials if broken_constraints(t)]
    assert 1 == min(kept) <= max(kept) < min(broken)


def constrained(limit):
    """What a trial says of a quantity x that may be at most `limit`."""

    def values(x):
        fields = {"value": x, "low": x, "high": x, "limit": f"at most {limit}", "beyond": x - limit}
        return [{"name": "x", **fields}]

    return values


def test_the_sampler_learns_where_constraints_are_broken():
    """The value rises with x, so without the constraint all would be tried near 1."""
    limit, tried = 0.3, {}
    for values in (constrained(limit), lambda x: ()):
        study = make_study()
        search = Search(trials=40, sampler=Sampler(type="tpe", seed=2, startup=8))
        queue = TrialQueue(study, search, space={"x": FloatRange(0.0, 1.0)})
        while (proposal := queue.next_trial()) is not None:
            x = proposal.params["x"]
            queue.complete(proposal.number, 1, x, best=x, constraints=values(x))
        late = [t.params["x"] for t in study.get_trials(states=[TrialState.COMPLETE])[20:]]
        tried[bool(values(0.5))] = sum(x <= limit for x in late) / len(late)
    assert tried[True] > 0.5 > 0.2 > tried[False]
