"""Searches with a worker without TensorFlow, controlled from another thread as from a shell."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tauopt.errors import Interrupted, ServiceError, UsageError
from tauopt.search.driver import run_search
from tauopt.study import control_requests
from tauopt.study.open_study import open_study
from tauopt.study.study_storage import open_storage
from tauopt.tracking.client import connect
from tauopt.workflows.control import extend, resume, stop
from tests.search.fake_worker import FakeWorker
from tests.search.searches import make_setup
from tests.search.without_ray import without_ray


@pytest.fixture(
    scope="module",
    autouse=True,
    params=["without Ray", pytest.param("with Ray", marks=pytest.mark.slow)],
)
def services(request, tmp_path_factory):
    """One MLflow store for all searches here, which have workers of Ray or none."""
    with_ray = request.param == "with Ray"
    if with_ray:
        request.getfixturevalue("ray_here")
    store = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
        patch.setattr(FakeWorker, "pause_s", 0.05)
        patch.setattr(control_requests, "_EVERY_S", 0.1)
        with contextlib.nullcontext() if with_ray else without_ray():
            yield


def driven(folder, act, *, at=("report", 1), **kwargs):
    """Run a search and, at a kind of event of a trial, do something elsewhere; return both ends."""
    with ThreadPoolExecutor(1) as elsewhere:
        acted = []

        def on_event(event):
            if (event.kind, event.number) == at and not acted:
                acted.append(elsewhere.submit(act))
                heard(folder, acted[0])

        try:
            ended = run_search(make_setup(folder, **kwargs), on_event=on_event, worker=FakeWorker)
        except Interrupted as error:
            ended = error
        return ended, acted[0].result()


def heard(folder, acted):
    """Hold the driver until the study tells it what is asked, so that it can't end before."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        over = acted.done()
        attributes = study_of(folder).user_attrs
        if attributes.get("tauopt.wish") or "tauopt.extended" in attributes:
            time.sleep(2 * control_requests._EVERY_S)  # when the driver goes on, it looks first
            return
        if over:
            return
        time.sleep(0.05)


def study_of(folder):
    return open_study(open_storage(folder / "out"), "toy")


def states_of_runs(folder):
    client = connect(None, output=folder / "out")
    uid = study_of(folder).user_attrs["tauopt.uid"]
    places = [e.experiment_id for e in client.search_experiments()]
    runs = [r for r in client.search_runs(places) if r.data.tags["tauopt.uid"].startswith(uid)]
    return {run.info.run_name: run.info.status for run in runs}


def test_a_search_is_stopped_from_elsewhere_as_by_ctrl_c(tmp_path):
    ended, told = driven(tmp_path, lambda: stop("toy", output=tmp_path / "out"), trials=4)
    assert isinstance(ended, Interrupted)
    assert (ended.exit_code, str(ended)) == (130, "search 'toy' stopped by tauopt stop")
    assert "has stopped" in told.told
    assert told.resume == f"tauopt resume toy -o {tmp_path}/out"
    assert states_of_runs(tmp_path)["toy"] == "SCHEDULED"
    assert "RUNNING" not in states_of_runs(tmp_path).values()
    with pytest.raises(UsageError, match=r"nobody runs toy; go on with it: tauopt resume toy"):
        stop("toy", output=tmp_path / "out")
    ending = run_search(make_setup(tmp_path, trials=4, resume=True), worker=FakeWorker)
    assert [t.state.name for t in ending.trials] == ["COMPLETE"] * 4


def test_who_does_not_wait_for_a_stop_is_told_that_it_was_asked_for(tmp_path):
    def ask_only():
        with pytest.raises(ServiceError, match="was asked to stop and has not within 0 s"):
            stop("toy", output=tmp_path / "out", wait_s=0)

    ended, _ = driven(tmp_path, ask_only, trials=4)
    assert isinstance(ended, Interrupted)


def test_a_search_that_runs_is_given_more_trials(tmp_path):
    output = tmp_path / "out"
    act = lambda: extend("toy", trials=5, output=output)  # noqa: E731
    ended, told = driven(tmp_path, act, trials=3)
    assert "takes it within seconds" in told.told
    assert [t.state.name for t in ended.trials] == ["COMPLETE"] * 5
    with pytest.raises(UsageError, match="has 5 trials already"):
        extend("toy", trials=5, output=output)
    later = extend("toy", trials=6, output=output)
    assert "taken when it goes on" in later.told
    ending = run_search(make_setup(tmp_path, trials=3, resume=True), worker=FakeWorker)
    assert len(ending.trials) == 6


def test_a_search_that_runs_is_not_resumed(tmp_path):
    def try_it():
        with pytest.raises(UsageError, match=r"toy runs already: process \d+"):
            resume("toy", output=tmp_path / "out")

    driven(tmp_path, try_it, trials=2)


def test_nothing_is_extended_by_nothing(tmp_path):
    with pytest.raises(UsageError, match="expected --trials, --hours or --gpu-hours"):
        extend("toy", output=tmp_path)


def test_a_search_whose_record_is_gone_says_how_to_go_on(tmp_path):
    run_search(make_setup(tmp_path, trials=1), worker=FakeWorker)
    (tmp_path / "out/searches/toy/experiment.yaml").unlink()
    with pytest.raises(UsageError, match=r"is gone.*tauopt search FILE --resume --name toy"):
        resume("toy", output=tmp_path / "out")
