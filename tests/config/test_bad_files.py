"""Every bad file is refused as its own last lines, `#> line:column: message`, say."""

import re
import signal
import sys
from pathlib import Path

import pytest

from tauopt.cli import app
from tauopt.errors import ConfigError
from tauopt.workflows.validate import validate

DATA = Path(__file__).parents[1] / "data"
BAD = sorted(DATA.glob("bad_*.yaml"))


def expected(path):
    return re.findall(r"^#> (\d+):(\d+): (.*)$", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_every_problem_at_its_place(path):
    with pytest.raises(ConfigError) as caught:
        validate(path)
    problems = caught.value.problems
    expected_problems = expected(path)
    assert [(p.file, p.line, p.column) for p in problems] == [
        (str(path), int(line), int(column)) for line, column, _ in expected_problems
    ]
    for problem, (_, _, message) in zip(problems, expected_problems, strict=True):
        assert problem.message.startswith(message)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_ends_the_command_with_exit_code_2(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tauopt", "validate", str(path)])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            app.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 2
    line, column, message = expected(path)[0]
    assert f"{path}:{line}:{column}: {message}" in capsys.readouterr().err


def test_messages_speak_the_users_language():
    jargon = re.compile(r"pydantic|tagged|union|discriminat|\[key\]|model\.rnn|type_error|Field ")
    single = [path for path in BAD if not path.stem.startswith("bad_any")]
    messages = "\n".join(message for path in single for _, _, message in expected(path))
    assert not jargon.search(messages)
    assert messages.count("did you mean") >= 15


def test_the_files_that_bad_ones_extend_are_good():
    assert validate(DATA / "good_experiment.yaml").kind == "experiment"
    assert validate(DATA / "good_dataset.yaml").kind == "dataset"
