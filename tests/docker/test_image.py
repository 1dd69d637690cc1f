"""The steps that build the image, in a folder instead of a container: they install what works."""

import re
import subprocess
import sys

import pytest

from tests.stack.compose import ROOT


def build_steps():
    """Return the RUN lines of the Dockerfile's build stage, and what it copies, in order."""
    text = (ROOT / "docker/Dockerfile").read_text()
    (stage,) = re.findall(r"^FROM \S+ AS build\n(.*?)^FROM ", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^(RUN|COPY) (.*)$", stage, re.MULTILINE)


@pytest.mark.slow
def test_the_images_steps_install_a_tauopt_that_works(tmp_path):
    """Needs a package index and three gigabytes."""
    source, place = tmp_path / "src", tmp_path / "opt"
    (source / "docker").mkdir(parents=True)
    ran = 0
    for kind, words in build_steps():
        if kind == "COPY":
            *files, target = words.split()
            shown = " ".join(f"'{ROOT}'/{name}" for name in files)
            line = f"cp -r {shown} {target if target != '.' else './'}"
        else:
            line, ran = words.replace("/opt/tauopt", str(place)), ran + 1
            line = line.replace("python -m venv", f"{sys.executable} -m venv")
        done = subprocess.run(
            ["bash", "-euc", line], cwd=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert ran == 4
    for words in (["tauopt", "--version"], ["tauopt", "doctor", "-o", str(tmp_path / "out")],
                  ["optuna-dashboard", "--version"], ["mlflow", "--version"]):  # fmt: skip
        done = subprocess.run(
            [str(place / "bin" / words[0]), *words[1:]], cwd=tmp_path, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
