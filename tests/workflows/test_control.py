"""Control of searches, whose worker has no TensorFlow, from another thread as from a shell."""

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tauopt.errors import ConfigError, Interrupted, ServiceError, UsageError
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
    """Run a search, call `act` in another thread at an event of a trial, return both results."""
    with ThreadPoolExecutor(1) as elsewhere:
        acted = []

        def on_event(event):
            if (event.kind, event.number) == at and not acted:
                acted.append(elsewhere.submit(act))
                wait_for_request(folder, acted[0])

        try:
            ended = run_search(make_setup(folder, **kwargs), on_event=on_event, worker=FakeWorker)
        except Interrupted as error:
            ended = error
        return ended, acted[0].result()


def wait_for_request(folder, acted):
    """Hold the driver until the request is in the study, so that the search can't end before."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        is_over = acted.done()
        attributes = study_of(folder).user_attrs
        requests = ("tauopt.wish", "tauopt.with_extensions", "tauopt.point.")
        if any(name.startswith(requests) and attributes[name] for name in attributes):
            time.sleep(2 * control_requests._EVERY_S)  # the driver then looks for requests first
            return
        if is_over:
            return
        time.sleep(0.05)


def study_of(folder):
    return open_study(open_storage(folder / "out"), "toy")


def states_of_runs(folder):
    client = connect(None, output=folder / "out")
    uid = study_of(folder).user_attrs["tauopt.uid"]
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = [r for r in client.search_runs(experiments) if r.data.tags["tauopt.uid"].startswith(uid)]
    return {run.info.run_name: run.info.status for run in runs}


def test_a_search_is_stopped_from_elsewhere_as_by_ctrl_c(tmp_path):
    command = "echo $TAUOPT_STATE: $TAUOPT_REASON; tauopt_is_no_command; sleep 0.5"
    notify = [f"search.notify.command={command!r}"]
    act = lambda: stop("toy", output=tmp_path / "out")  # noqa: E731
    ended, outcome = driven(tmp_path, act, trials=4, overrides=notify)
    output = (tmp_path / "out/searches/toy/notify.txt").read_text()
    assert output.startswith("stopped: stopped by tauopt stop\n")
    assert isinstance(ended, Interrupted)
    assert (ended.exit_code, str(ended)) == (130, "search 'toy' stopped by tauopt stop")
    assert "has stopped" in outcome.told
    assert outcome.resume == f"tauopt resume toy -o {tmp_path}/out"
    assert states_of_runs(tmp_path)["toy"] == "SCHEDULED"
    assert "RUNNING" not in states_of_runs(tmp_path).values()
    with pytest.raises(UsageError, match=r"no process runs toy; resume it: tauopt resume toy"):
        stop("toy", output=tmp_path / "out")
    ending = run_search(make_setup(tmp_path, trials=4, resume=True), worker=FakeWorker)
    assert [t.state.name for t in ending.trials] == ["COMPLETE"] * 4


def test_a_stop_that_is_not_waited_for_is_requested_all_the_same(tmp_path):
    def stop_without_wait():
        with pytest.raises(ServiceError, match="has not stopped within 0 s of the request"):
            stop("toy", output=tmp_path / "out", wait_s=0)

    ended, _ = driven(tmp_path, stop_without_wait, trials=4)
    assert isinstance(ended, Interrupted)


def test_a_search_that_runs_is_given_more_trials(tmp_path):
    output = tmp_path / "out"
    act = lambda: extend("toy", trials=5, output=output)  # noqa: E731
    ended, outcome = driven(tmp_path, act, trials=3)
    assert "takes it within seconds" in outcome.told
    assert [t.state.name for t in ended.trials] == ["COMPLETE"] * 5
    with pytest.raises(UsageError, match="has 5 trials already"):
        extend("toy", trials=5, output=output)
    later = extend("toy", trials=6, output=output)
    assert "taken when it is resumed" in later.told
    ending = run_search(make_setup(tmp_path, trials=3, resume=True), worker=FakeWorker)
    assert len(ending.trials) == 6


def test_a_search_that_runs_is_not_resumed(tmp_path):
    def try_to_resume():
        with pytest.raises(UsageError, match=r"toy runs already: process \d+"):
            resume("toy", output=tmp_path / "out")

    driven(tmp_path, try_to_resume, trials=2)


def write_point(folder, text):
    path = folder / "point.yaml"
    path.write_text(text)
    return path


def test_a_search_that_runs_or_has_ended_is_given_points_to_try(tmp_path):
    output = tmp_path / "out"
    point = write_point(tmp_path, "- model: {units: 5}\n- {model.units: 7}\n- {model.units: 16}\n")
    act = lambda: extend("toy", points=[point], output=output)  # noqa: E731
    ended, outcome = driven(tmp_path, act, trials=3)
    told = "2 points to try first, one trial more each; a point of .*point.yaml is that of t000"
    assert re.match(told, outcome.told)
    assert "takes it within seconds" in outcome.told
    by_hand = [t.params for t in ended.trials if "tauopt.by_hand" in t.user_attrs]
    assert [params["model.units"] for params in by_hand] == [5, 7]
    assert [t.state.name for t in ended.trials] == ["COMPLETE"] * 5
    with pytest.raises(UsageError, match=r"toy has nothing new to try: .* that of t000"):
        extend("toy", points=[point], output=output)
    with pytest.raises(
        ConfigError, match=r"point\.yaml:1:14: model.units: expected int \[4, 16\] log"
    ):
        extend("toy", points=[write_point(tmp_path, "model.units: 99")], output=output)
    extend("toy", points=[write_point(tmp_path, "model.units: 6")], output=output)
    ending = run_search(make_setup(tmp_path, trials=3, resume=True), worker=FakeWorker)
    assert [trial.params["model.units"] for trial in ending.trials[5:]] == [6]


def test_an_extension_without_a_limit_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected --trials, --hours or --gpu-hours"):
        extend("toy", output=tmp_path)


def test_a_search_without_its_record_is_refused_with_the_command_that_resumes_it(tmp_path):
    run_search(make_setup(tmp_path, trials=1), worker=FakeWorker)
    (tmp_path / "out/searches/toy/experiment.yaml").unlink()
    with pytest.raises(UsageError, match=r"is missing.*tauopt search FILE --resume --name toy"):
        resume("toy", output=tmp_path / "out")
