import signal
import time

import pytest

from tauopt.search.notify_command import SearchEnd, notify, variables_of


@pytest.fixture
def notes():
    return []


def run(command, folder, notes, **more):
    notify(command, {"TAUOPT_STATE": "complete"}, folder=folder, on_event=notes.append, **more)
    return (folder / "notify.txt").read_text() if (folder / "notify.txt").exists() else None


def test_the_command_s_output_is_in_the_folder_of_the_search(tmp_path, notes):
    assert run("echo $TAUOPT_STATE; echo seen >&2", tmp_path, notes) == "complete\nseen\n"
    assert not notes


def test_a_failing_command_is_a_note(tmp_path, notes):
    run("exit 3", tmp_path, notes)
    run("no-such-command-anywhere", tmp_path, notes)
    run("true", tmp_path / "missing", notes)
    failed, unknown, folderless = [note.message for note in notes]
    output = tmp_path / "notify.txt"
    expected = f"search.notify: the command ended with exit code 3; its output is in {output}"
    assert failed == expected
    assert "exit code 127" in unknown
    assert "could not be run" in folderless


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(tmp_path, notes):
    before = time.monotonic()
    run("sleep 30 & echo $! > pid; wait".replace("pid", str(tmp_path / "pid")), tmp_path, notes,
        timeout_s=0.3)  # fmt: skip
    assert time.monotonic() - before < 10
    assert "was killed after 0.3 s" in notes[0].message
    child = int((tmp_path / "pid").read_text())
    assert _is_gone(child)


def _is_gone(process):
    for _ in range(100):
        try:
            with open(f"/proc/{process}/stat") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_while_the_command_runs_ends_it(tmp_path, notes):
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            run("sleep 30", tmp_path, notes)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_any_text_can_be_an_environment_variable():
    end = SearchEnd("failed", "a\0b" + "x" * 100_000)
    variables = variables_of(end, name="toy", objective="auc", folder="/f")
    assert variables["TAUOPT_REASON"].startswith("a bxx")
    assert len(variables["TAUOPT_REASON"]) < 5000
    assert variables["TAUOPT_BEST"] == variables["TAUOPT_BEST_RUN"] == ""
