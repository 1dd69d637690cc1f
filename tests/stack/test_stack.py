"""Searches on the whole stack: PostgreSQL, an MLflow server with passwords, a Ray cluster."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import optuna
import pytest

from tauopt.study.best_first import best_first
from tauopt.tracking import registry, runs
from tests.stack.searches import check_whole, client, search_words, storage, study_of
from tests.tracking.test_registry import make_entry

pytestmark = pytest.mark.service


def test_the_doctor_finds_the_service_well_and_closed(stack):
    told = stack.run("doctor", "--service", "-o", str(stack.folder / "out"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "refuses access without a password" in told.stdout
    assert "Ray nodes      2, all with tauopt" in told.stdout


def test_a_search_on_the_stack_says_what_the_same_one_embedded_would(stack):
    ended = stack.run(*search_words(stack, "alone"))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["why"] == "complete"
    assert not found["undelivered"]
    study = check_whole(stack, "alone", trials=4)
    best = best_first(study.trials)[0]
    assert (found["trials"][0]["number"], found["trials"][0]["value"]) == (best.number, best.value)
    artifacts = {file.path for file in client(stack).list_artifacts(found["best_run_id"])}
    assert {"result.json", "model"} <= artifacts


@pytest.mark.parametrize(
    ("secret", "words"),
    [("MLFLOW_TRACKING_PASSWORD", ["sync"]), ("OPTUNA_PASSWORD", ["leaderboard", "alone"])],
)
def test_a_wrong_password_is_said_and_not_shown(stack, secret, words):
    wrong = stack.folder / "secrets" / "wrong"
    wrong.write_text("not-the-password")
    wrong.chmod(0o644)
    told = stack.run(*words, **{f"{secret}_FILE": str(wrong)})
    assert told.returncode == 4, told.stdout + told.stderr
    assert "127.0.0.1" in told.stderr
    assert "not-the-password" not in told.stdout + told.stderr
    assert "Traceback" not in told.stderr


def test_what_was_backed_up_comes_back(stack):
    """Runs after the search above, whose study and artifacts are lost and restored here."""
    made = stack.run(service="backup")
    assert made.returncode == 0, made.stderr
    moment = Path(made.stdout.strip()).name
    words = ("/app/docker/restore.sh", moment)
    assert stack.run(*words, service="backup").returncode == 4  # the server uses its database
    stack.kill("mlflow")
    optuna.delete_study(study_name="alone", storage=storage(stack))
    shutil.rmtree(stack.folder / "artifacts")
    shutil.rmtree(stack.folder / "out" / "searches" / "alone")
    give_up = time.monotonic() + 30
    while (back := stack.run(*words, service="backup")).returncode == 4:
        assert time.monotonic() < give_up, back.stderr
        time.sleep(0.5)
    assert back.returncode == 0, back.stderr
    stack.start("mlflow")
    stack.wait("mlflow", lambda: stack.healthy("mlflow"))
    check_whole(stack, "alone", trials=4)
    board = stack.run("leaderboard", "alone", "--json")
    assert board.returncode == 0, board.stderr
    local = client(stack).download_artifacts(
        json.loads(board.stdout)["trials"][0]["run_id"], "result.json"
    )
    assert json.loads(Path(local).read_text())


def test_a_backup_that_changed_is_not_restored(stack):
    made = Path(stack.run(service="backup").stdout.strip())
    (made / "optuna.dump").write_bytes(b"?")
    back = stack.run("/app/docker/restore.sh", made.name, service="backup")
    assert back.returncode == 1
    assert "optuna.dump: FAILED" in back.stderr


def begun(stack, name, *more, trials=4, reporting=1, epochs=60):
    """Start a long search; return its process once so many trials have reported."""
    longer = ["--set", f"training.epochs={epochs}", "--set", "search.pruner={type: none}"]
    process = stack.command(*search_words(stack, name, *longer, *more, trials=trials))
    until(lambda: reporting_trials(stack, name) >= reporting, process)
    return process


def until(come, process, wait_s=120):
    """Wait for what a search that runs will bring about."""
    give_up = time.monotonic() + wait_s
    while not come():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, "not in time"
        time.sleep(0.5)


def reporting_trials(stack, name):
    try:
        trials = study_of(stack, name).trials
    except KeyError:  # no study yet
        return 0
    return sum(bool(trial.intermediate_values) for trial in trials)


def reports(stack, name):
    return sum(len(trial.intermediate_values) for trial in study_of(stack, name).trials)


def test_two_users_search_at_once_one_is_stopped_and_resumed_and_nothing_is_mixed_up(stack):
    place = ["-o", str(stack.folder / "out")]
    hers, his = begun(stack, "hers"), begun(stack, "his", epochs=100)
    told = stack.run("stop", "his", *place)  # from another client
    assert told.returncode == 0, told.stderr
    his.communicate(timeout=60)
    assert his.returncode == 130
    told = stack.run("resume", "his", *place, "--json")
    assert told.returncode == 0, told.stderr
    finished(hers)
    hers, his = (check_whole(stack, name, trials=4) for name in ("hers", "his"))
    assert hers.user_attrs["tauopt.uid"] != his.user_attrs["tauopt.uid"]
    for study in (hers, his):
        for trial in study.trials:
            run = client(stack).get_run(trial.user_attrs["mlflow_run_id"])
            assert run.data.tags["tauopt.study"] == study.study_name


def finished(process):
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return json.loads(out), err


def test_a_search_outlives_a_node_a_database_and_an_mlflow_server_that_go_away(stack):
    """One after another, in one search; MLflow also hangs, and gets everything once."""
    name = "trouble"
    process = begun(stack, name, trials=8, reporting=2, epochs=100)  # one of them on the node
    stack.kill("ray-worker-0")
    stack.kill("postgres", signal.SIGINT)
    time.sleep(3)
    stack.start_postgres()
    stack.start("ray-worker-0", service="ray-worker", RAY_NODE_IP="127.0.0.3")
    reported = reports(stack, name)
    until(lambda: reports(stack, name) > reported, process)

    os.killpg(stack.processes["mlflow"].pid, signal.SIGSTOP)
    time.sleep(2)  # what was on its way has come
    reported = reports(stack, name)
    until(lambda: reports(stack, name) > reported, process, wait_s=10)  # or training is held up
    stack.kill("mlflow")
    time.sleep(3)
    stack.start("mlflow")
    stack.wait("mlflow", lambda: stack.healthy("mlflow"))

    found, told = finished(process)
    assert found["why"] == "complete"
    assert "retried" in told
    brought = stack.run("sync", "-o", str(stack.folder / "out"))  # what the end came too early for
    assert brought.returncode == 0, brought.stderr
    check_whole(stack, name, trials=8)


def test_a_node_that_joins_gets_its_copy_of_the_dataset_and_trains(stack):
    """The node has a disk of its own where the others share the cache."""
    cache = stack.folder / "cache"
    own_disk = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs own {cache} && exec "$@"', "sh")
    if subprocess.run([*own_disk, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    more = ["--set", "search.resources.concurrent=3"]
    process = begun(stack, "joined", *more, trials=12)
    stack.start("ray-worker-2", service="ray-worker", within=own_disk, RAY_NODE_IP="127.0.0.5")
    _, told = finished(process)
    inside = Path(f"/proc/{stack.processes['ray-worker-2'].pid}/root{cache}")
    copied = [path.name for path in inside.glob("*/*/manifest.json")] + [
        path.name for path in inside.glob("*/manifest.json")
    ]
    stack.kill("ray-worker-2")
    assert "(127.0.0.5) has joined" in told
    assert "copying" in told
    assert len(copied) == 1
    trials = check_whole(stack, "joined", trials=12).trials
    spans = [(t.datetime_start, t.datetime_complete) for t in trials]
    assert max(sum(a <= b < c for a, c in spans) for b, _ in spans) == 3


def test_promotions_at_once_get_versions_of_their_own(stack, tmp_path):
    """Sixteen clients register eight models, each twice, with one server and one database.

    All find no champion and make theirs the first one: one version wins, and who lost knows.
    """
    server = client(stack)
    parent = runs.open_parent(server, experiment="tau-id", name="many", uid="promotions")
    made, won, errors, together = {}, {}, [], threading.Barrier(16)

    def work(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            entry = make_entry(folder, parent, f"model {number // 2}".encode())
            made[number] = registry.register(server, "many", entry).version
            together.wait(300)
            won[number] = registry.move_alias(server, "many", str(made[number]), expected="")
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    held = registry.versions(server, "many")
    assert len({version.version for version in held}) == len(held) == 8
    assert all(made[number] == made[number + 1] for number in range(0, 16, 2))
    assert {made[number] for number in won if won[number]} == {
        registry.champion(server, "many").version
    }
