"""What the README says is true: its commands run, its YAML is valid, its first line is the job."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import VERBS, build_app
from tauopt.config.load import read_dataset, read_experiment
from tests.processes import started

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SMALL = [
    "--set", "data.simulate.taus=400", "--set", "data.simulate.jets=400",
    "--set", "training.epochs=1", "--set", "training.batch_size=128", "--trials", "2",
    "--set", "search.resources.concurrent=1",
]  # fmt: skip


def command_lines(block: int) -> list[str]:
    """Return the commands of a fenced block's one line, without what installs."""
    (line,) = BLOCKS[block][1].splitlines()
    return [command for command in line.split(" && ")[2:] if "pip install " not in command]


def test_the_first_two_blocks_are_the_job_and_the_tests():
    assert command_lines(0) == ["tauopt search search_spaces/rnn.yaml"]
    assert [line.split()[:3] for line in command_lines(1)] == [["python", "-m", "pytest"]]
    for _, text in BLOCKS[:2]:
        assert text.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install ")


def tauopt(*words: str) -> str:
    """Run a command in this process, which has the heavy imports already; return its output."""
    ended = CliRunner().invoke(build_app(), words)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def tauopt_alone(*words: str) -> str:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tauopt", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not re.findall(r"^[IWE]\d{4} |absl::|oneDNN|cudart", ended.stderr, flags=re.MULTILINE)
    return ended.stdout


@pytest.fixture(
    scope="module",
    params=[tauopt, pytest.param(tauopt_alone, marks=pytest.mark.slow)],
    ids=lambda run: run.__name__,
)
def searched(request, ray_here, tmp_path_factory):
    """The README's first line at a small size, in a cache and output folder of its own."""
    folder = tmp_path_factory.mktemp("job")
    output = ["--output", str(folder / "out")]
    words = command_lines(0)[0].split()[1:]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TAUOPT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        patch.setenv("TAUOPT_CACHE", str(folder / "cache"))
        patch.chdir(ROOT)
        yield output, request.param(*words, *SMALL, *output)


def test_the_job_ends_with_the_leaderboard_the_ui_and_the_way_to_promote(searched):
    output, said = searched
    assert "rejection@0.75" in said
    assert "compare: tauopt ui" in said
    assert tauopt("status", *output).count("rnn")
    assert tauopt("leaderboard", *output).count("t00") == 2


def test_the_promote_command_that_was_printed_makes_a_champion(searched):
    (command,) = re.findall(r"^promote: tauopt (.*)$", searched[1], flags=re.MULTILINE)
    said = tauopt(*command.split())
    assert "version 1 is the champion" in said
    assert "models:/rnn@champion" in said


def test_the_ui_that_was_printed_answers(searched):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tauopt", "ui", *searched[0], "--port", port]
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        said = ""
        while "open this address" not in said and process.poll() is None:
            said += process.stdout.readline()
        address = re.search(r"http://[\d.:]+", said)
        assert address, said
        with urllib.request.urlopen(f"{address[0]}/health", timeout=10) as reply:
            assert reply.status == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_every_command_in_the_text_is_one_that_there_is():
    commands = re.findall(r"tauopt (?!search_)([a-z]+) ([^`\n#…]*)", README)
    assert {"search", "ui", "promote"} <= {verb for verb, _ in commands}
    known = typer.main.get_command(build_app()).commands
    for verb, rest in commands:
        assert verb in VERBS
        options = {name for parameter in known[verb].params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options
        for path in re.findall(r"search_spaces/\S+", rest):
            assert (ROOT / path).is_file()


def test_every_file_in_the_text_is_valid(tmp_path):
    shown = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
    assert len(shown) > 1
    for content in shown:
        if "extends" in content:
            assert len(content) + len(content["samples"]) < 10
            file = tmp_path / "data.yaml"
            file.write_text(yaml.safe_dump(content | {"extends": str(ROOT / content["extends"])}))
            assert read_dataset(file).samples.keys() == content["samples"].keys()
            continue
        experiment = content
        file = tmp_path / "shown.yaml"
        whole = {"extends": str(ROOT / "search_spaces/rnn.yaml"), "name": "shown", **experiment}
        file.write_text(yaml.safe_dump(whole))
        assert read_experiment(file).space


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists()
