"""Commands with closed standard streams, or with streams of a narrow encoding, end normally."""

import subprocess
import sys

import pytest

NAMES = ascii("täu.root ✓ caf\udce9")
PRINTS = (
    "from tauopt.cli.console import prepare_streams; prepare_streams(); "
    f"import sys; print({NAMES}); print({NAMES}, file=sys.stderr)"
)


def run(code, *, shell="", **environment):
    command = ["bash", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, code]
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))}
    return subprocess.run(command, capture_output=True, env={**variables, **environment})


@pytest.mark.parametrize(
    ("environment", "out"),
    [
        ({"PYTHONIOENCODING": "ascii"}, rb"t\xe4u.root \u2713 caf\udce9"),
        ({"PYTHONIOENCODING": "latin-1"}, "täu.root \\u2713 caf\\udce9".encode("latin-1")),
        ({"PYTHONIOENCODING": "ascii:replace"}, b"t?u.root ? caf?"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
         rb"t\xe4u.root \u2713 caf\udce9"),
        ({"PYTHONIOENCODING": "utf-8"}, "täu.root ✓ caf\\udce9".encode()),
    ],
    ids=["ascii", "latin-1", "the user's own handler", "no locale", "bytes that are no text"],
)  # fmt: skip
def test_characters_that_an_encoding_lacks_are_escaped(environment, out):
    process = run(PRINTS, **environment)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == out
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_go_to_dev_null_and_no_file_takes_their_descriptors(shell, tmp_path):
    file = tmp_path / "file"
    code = (
        f"{PRINTS}; import os; stream = open('{file}', 'w'); assert stream.fileno() > 2; "
        "os.write(1, b'from a library'); sys.stdin.read(); stream.write('whole'); stream.close()"
    )
    process = run(code, shell=shell if "<" in shell else f"{shell} < /dev/null")
    assert process.returncode == 0, process.stderr
    assert file.read_text() == "whole"


def test_verbs_exit_normally_with_stdout_closed_or_in_ascii(tmp_path):
    code = "import sys; sys.argv = ['tauopt', %s]; from tauopt.cli.app import main; main()"
    closed = run(code % "'schema'", shell=">&- < /dev/null")
    assert (closed.returncode, closed.stderr) == (0, b"")
    missing = run(code % "'validate', 'täu.yaml'", PYTHONIOENCODING="ascii")
    assert missing.returncode == 2
    assert rb"t\xe4u.yaml" in missing.stderr
