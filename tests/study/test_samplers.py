import optuna
import pytest

from tauopt.config.settings.experiment import Pruner, Sampler, Search
from tauopt.config.settings.ranges import ChoiceRange, FloatRange, IntRange
from tauopt.errors import UsageError
from tauopt.study.pruners import make_pruner
from tauopt.study.samplers import check_sampler
from tauopt.study.trial_queue import TrialQueue

SPACE = {
    "kind": ChoiceRange(("a", "b")),
    "x": FloatRange(0.0, 1.0),
    "y": FloatRange(1e-4, 1e-1, log=True, when={"kind": ("b",)}),
    "n": IntRange(1, 20),
}


def searched(sampler, trials, seed=1):
    study = optuna.create_study(direction="maximize")
    settings = Search(trials=trials, sampler=Sampler(type=sampler, seed=seed, startup=4))
    queue = TrialQueue(study, settings, space=SPACE)
    while (proposal := queue.next_trial()) is not None:
        value = -((proposal.params["x"] - 0.3) ** 2) - abs(proposal.params["n"] - 7) / 20
        queue.complete(proposal.number, 1, value, best=value)
    return [t.params for t in study.trials]


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "qmc"])
def test_a_sampler_is_repeatable_by_its_seed_and_never_repeats_itself(sampler):
    params = searched(sampler, 12)
    assert params == searched(sampler, 12)
    assert params != searched(sampler, 12, seed=2)
    assert len({p["x"] for p in params}) == 12


def test_tpe_finds_what_random_does_not():
    best = max(searched("tpe", 40), key=lambda p: -abs(p["x"] - 0.3) - abs(p["n"] - 7))
    assert best["n"] == pytest.approx(7, abs=1)


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'tauopt\[gp\]'"):
        check_sampler(Sampler(type="gp"))
    check_sampler(Sampler(type="tpe"))


@pytest.mark.parametrize("kind", ["asha", "hyperband", "median"])
def test_every_trial_makes_its_first_reports(kind):
    pruner = make_pruner(Pruner(type=kind, min_reports=3, startup=1), reports=9)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    good = study.ask()
    for step in range(1, 10):
        good.report(1.0, step)
        good.should_prune()
    study.tell(good, 1.0)
    bad = study.ask()
    for step in (1, 2):
        bad.report(0.0, step)
        assert not bad.should_prune()


def test_the_pruner_none_stops_no_trial():
    assert isinstance(make_pruner(Pruner(type="none"), reports=5), optuna.pruners.NopPruner)
