from tauopt.search.tune_adapters import FINISHED, RETRIES, StudySearcher
from tauopt.study.trial_queue import TrialQueue
from tests.study.test_trial_queue import SPACE, make_study, settings


def make_searcher(study, trials, *, concurrent=2):
    return StudySearcher(
        TrialQueue(study, settings(trials), space=SPACE),
        begin=lambda proposal: {"number": proposal.number},
        end=lambda number: None,
        concurrent=lambda: concurrent,
    )


def test_a_trial_whose_worker_dies_is_the_next_to_be_given_out_until_it_died_too_often():
    study = make_study()
    searcher = make_searcher(study, 3)
    for n in range(RETRIES):
        assert searcher.suggest(f"ray-{n}") == {"number": 0}
        assert searcher.died(f"ray-{n}", "lost")
        searcher.on_trial_complete(f"ray-{n}", error=True)  # Ray's own idea of it
        assert study.trials[0].state.name == "RUNNING"
    assert searcher.suggest("last") == {"number": 0}
    assert not searcher.died("last", "lost again")
    searcher.on_trial_complete("last", error=True)
    assert study.trials[0].state.name == "FAIL"
    assert study.trials[0].user_attrs["reason"] == "lost again"
    assert searcher.suggest("next") == {"number": 1}
    assert searcher.error is None


def test_deaths_with_new_reports_between_them_cost_no_trial():
    study = make_study()
    searcher = make_searcher(study, 1)
    for n in range(4 * RETRIES):
        assert searcher.suggest(f"ray-{n}") == {"number": 0}
        searcher.queue.report(0, n + 1, 0.5)
        assert searcher.died(f"ray-{n}", "its node went")
    searcher.suggest("last")
    last = {
        "number": 99,
        "value": 0.5,
        "best": 0.5,
        "best_number": 99,
        "best_paired_value": "",
        "best_log_loss": None,
        "parameters": 12,
        "constraints": [],
        "others": (),
        "intervals": (),
        "candidates_seen": 1,
    }
    searcher.on_trial_complete("last", last)
    (trial,) = study.trials
    assert trial.state.name == "COMPLETE"
    assert len(trial.intermediate_values) == 4 * RETRIES + 1


def test_the_searcher_finishes_only_when_no_trial_can_be_retried():
    searcher = make_searcher(make_study(), 1)
    assert searcher.suggest("a") == {"number": 0}
    assert searcher.suggest("b") is None
    assert searcher.died("a", "lost")
    assert searcher.suggest("b") == {"number": 0}
    searcher.on_trial_complete("b", {"failed": "diverged"})
    assert searcher.suggest("c") == FINISHED
