"""The command line: the verbs are frozen, and the exit codes are those in the README."""

import errno
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tauopt import errors
from tauopt.cli import app

ROOT = Path(__file__).parents[2]


def run_raising(monkeypatch, error):
    """Run `main` over a verb that raises `error`; return the exit code."""

    def build():
        only = typer.Typer(pretty_exceptions_enable=False)

        @only.command()
        def verb():
            raise error

        return only

    monkeypatch.setattr(app, "build_app", build)
    monkeypatch.setattr(sys, "argv", ["tauopt"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            app.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    return end.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.TauoptError("x"), 1),
        (RuntimeError("a bug"), 1),
        (errors.ConfigError([errors.Problem("wrong", "a.yaml", 3, 4)]), 2),
        (errors.InvalidNameError("x"), 2),
        (errors.DataError("x"), 3),
        (errors.CorruptError("x"), 3),
        (errors.ServiceError("x"), 4),
        (errors.LockedError("x"), 4),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 4),
        (errors.SearchError("x"), 5),
        (errors.PromotionRefused("x"), 6),
        (errors.Interrupted("x", resume="tauopt search a.yaml --resume"), 130),
        (errors.Interrupted("x", exit_code=143), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_has_its_exit_code(monkeypatch, error, code):
    assert run_raising(monkeypatch, error) == code


def test_an_interrupted_command_prints_how_to_go_on(monkeypatch, capsys):
    run_raising(monkeypatch, errors.Interrupted("stopped", resume="tauopt search a --resume"))
    assert "go on with: tauopt search a --resume" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_an_expected_error_does_not(monkeypatch, capsys):
    run_raising(monkeypatch, RuntimeError("a bug"))
    assert "Traceback" in capsys.readouterr().err
    run_raising(monkeypatch, errors.DataError("tracks.root: branch pt is missing"))
    assert capsys.readouterr().err == "tauopt: tracks.root: branch pt is missing\n"


def test_sigterm_ends_with_143(tmp_path):
    script = tmp_path / "wait.py"
    script.write_text(
        "import time, typer\n"
        "from tauopt.cli import app\n"
        "only = typer.Typer(pretty_exceptions_enable=False)\n"
        "@only.command()\n"
        "def verb():\n"
        "    print('ready', flush=True); time.sleep(30)\n"
        "app.build_app = lambda: only\n"
        "app.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert time.monotonic() - started < 20


def test_the_verbs_are_those_in_the_readme():
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(app.VERBS)
    build = {command.name or command.callback.__name__ for command in verbs()}
    assert build == set(app.VERBS)


def verbs():
    return app.build_app().registered_commands


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_has_help(verb):
    result = CliRunner().invoke(app.build_app(), [verb, "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 4


def test_a_wrong_option_ends_with_2():
    process = subprocess.run(
        [sys.executable, "-m", "tauopt", "validate", "--nonsense"], capture_output=True, check=False
    )
    assert process.returncode == 2
