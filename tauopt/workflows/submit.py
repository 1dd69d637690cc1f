"""Submit a search as a job of a batch system (Slurm, HTCondor): write the scripts, submit them."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tauopt.config.experiment_file import ExperimentFile
from tauopt.durable import check_name, write_bytes
from tauopt.errors import ServiceError, UsageError
from tauopt.workflows.paths import BATCH, cache_folder, make_folder, output_folder
from tauopt.workflows.search import read_search

System = Literal["slurm", "htcondor"]
_SCRIPT: Mapping[str, str] = {"slurm": "slurm.sh", "htcondor": "htcondor.sub"}
_SUBMIT: Mapping[str, str] = {"slurm": "sbatch", "htcondor": "condor_submit"}
_TEMPLATES = Path(__file__).parent / "batch"
_VARIABLES = (
    "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN", "TAUOPT_STORAGE", "X509_USER_PROXY",
)  # fmt: skip
"""Environment variables that the job gets with their present values."""


@dataclass(frozen=True)
class BatchRequest:
    """Resources that a job requests from its batch system."""

    nodes: int = 1
    cpus: int = 8
    """CPUs of each node."""
    gpus: int = 0
    """GPUs of each node."""
    memory_gb: int = 32
    """Memory of each node."""
    hours: float = 24.0
    """Wall time. A job that needs more is stopped, loses nothing and is queued again (Slurm)."""


@dataclass(frozen=True)
class SubmittedJob:
    """The scripts that were written."""

    name: str
    folder: Path
    command: str
    """Command line that submits them."""
    concurrent: int
    """Number of trials at a time on all nodes."""
    told: str = ""
    """Answer of the batch system; empty if nothing was submitted."""


def submit(
    path: Path,
    system: System,
    *,
    machines: BatchRequest,
    overrides: Sequence[str] = (),
    name: str | None = None,
    output: Path | None = None,
    image: Path | None = None,
    options: Sequence[str] = (),
    now: bool = False,
) -> SubmittedJob:
    """Write the scripts of a batch job that starts a Ray cluster on its nodes and drives a search.

    The folder of the scripts lies in the output folder, which must be visible on all nodes.
    Addresses and passwords of services are written to a file that only its owner can read, and to
    no script.

    Args:
        path: experiment file with ranges.
        system: the batch system.
        machines: resources of the job.
        overrides: `path=value` each, applied to the file in order.
        name: of the search; None means the experiment's name.
        output: output folder; None means `tauopt-output`.
        image: Apptainer image that contains tauopt; None means the environment of this process.
        options: further options of the batch system, `key=value` each.
        now: submit the job too.
    Raises:
        ConfigError: the file is wrong.
        UsageError: nothing to search, a trial fits on no node, a node would be idle, or a search of
            that name has another file.
        ServiceError: the batch system refuses the job, or is not on this machine.
    """
    from tauopt.study.search_setup import search_folder
    from tauopt.study.trial_runs import EXPERIMENT

    file = read_search(path, overrides=overrides)
    name = check_name(name or file.name, what="name of the search")
    concurrent = _concurrent(file, machines)
    output_path = make_folder(output_folder(output), option="-o").absolute()
    record = search_folder(output_path, name) / EXPERIMENT
    if record.exists() and record.read_text() != file.text:
        raise UsageError(
            f"search {name!r} was started with another file ({record}), and a job would resume "
            "that one: give this search another --name"
        )
    folder = make_folder(output_path / BATCH / name, option="-o")
    if image is not None and not image.exists():
        raise UsageError(f"{image}: no such image; README says how one is built")
    words = [str(path.absolute()), "--name", name, "-o", str(output_path)]
    words += [word for override in overrides for word in ("--set", override)]
    values = {
        "NAME": name,
        "NODES": str(machines.nodes),
        "CPUS": str(machines.cpus),
        "GPUS": str(machines.gpus),
        "RECORD": shlex.quote(str(record)),
        "RESUME": shlex.join([name, "-o", str(output_path)]),
        "SEARCH": shlex.join(words),
        "INSIDE": _inside(image, gpus=machines.gpus, bind=[output_path, path.absolute().parent]),
        "LOG": shlex.quote(f"{folder}/slurm-%j.log"),
        **_system_values(system, machines, options),
    }
    _write_environment(folder, in_image=image is not None)
    for script in ("job.sh", _SCRIPT[system]):
        # HTCondor takes paths as they are; in a shell script they need quotes.
        values["FOLDER"] = shlex.quote(str(folder)) if script.endswith(".sh") else str(folder)
        content = (_TEMPLATES / script).read_text()
        for key, value in values.items():
            content = content.replace(f"@{key}@", value)
        write_bytes(folder / script, content.encode())
        (folder / script).chmod(0o755)
    command = [_SUBMIT[system], str(folder / _SCRIPT[system])]
    answer = _submit(command) if now else ""
    return SubmittedJob(name, folder, shlex.join(command), concurrent, answer)


def _concurrent(file: ExperimentFile, machines: BatchRequest) -> int:
    """Return the number of trials that run at a time.

    Raises:
        UsageError: none fits on a node, or nodes or GPUs would be idle.
    """
    from tauopt.search.ray_resources import fitting

    resources = file.base.search.resources
    if machines.gpus and not resources.gpus:
        raise UsageError(
            "--gpus: no trial would use one, for search.resources.gpus is 0; set it, for instance "
            "with --set search.resources.gpus=0.25"
        )
    unlimited = resources.model_copy(update={"concurrent": 0})
    per_node = fitting(unlimited, {"CPU": machines.cpus, "GPU": machines.gpus})
    if per_node < 1:
        raise UsageError(
            f"a trial takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs "
            f"(search.resources), a node has {machines.cpus} and {machines.gpus}: request larger "
            "nodes (--cpus, --gpus), or lower search.resources"
        )
    if 0 < resources.concurrent < machines.nodes:
        raise UsageError(
            f"--nodes {machines.nodes}: {resources.concurrent} trials run at a time "
            "(search.resources.concurrent), so nodes would be idle; request fewer, or run as many "
            "trials as fit with --set search.resources.concurrent=0"
        )
    number = per_node * machines.nodes
    return min(number, resources.concurrent) if resources.concurrent else number


def _system_values(
    system: System, machines: BatchRequest, options: Sequence[str]
) -> dict[str, str]:
    """Return the values of a template in the notation of its batch system.

    Raises:
        UsageError: an option is not `key=value`, or has a line break.
    """
    pairs = [option.partition("=") for option in options]
    for key, sign, value in pairs:
        if not key or not sign or "\n" in key + value:
            raise UsageError(f"--option {key!r}: expected KEY=VALUE, such as partition=gpu")
    seconds = round(machines.hours * 3600)
    if system == "slurm":
        lines = [f"#SBATCH --gpus-per-node={machines.gpus}"] if machines.gpus else []
        lines += [f"#SBATCH --{key.lstrip('-')}={value}" for key, _, value in pairs]
        return {
            "MEMORY": f"{machines.memory_gb}G",
            "TIME": str(max(1, round(seconds / 60))),
            "OPTIONS": "\n".join(lines),
        }
    lines = [f"request_gpus          = {machines.gpus}"] if machines.gpus else []
    lines += [f"+MaxRuntime           = {seconds}"]
    lines += [f"{key:21} = {value}" for key, _, value in pairs]
    return {"MEMORY": f"{machines.memory_gb} GB", "OPTIONS": "\n".join(lines)}


def _inside(image: Path | None, *, gpus: int, bind: Sequence[Path]) -> str:
    """Return the words before a command that run it where tauopt is installed."""
    if image is None:
        return "env"
    folders = ",".join(dict.fromkeys([*map(str, bind), str(cache_folder())]))
    words = ["apptainer", "exec", *(["--nv"] if gpus else []), "--bind", folders]
    return shlex.join([*words, str(image.absolute())])


def _write_environment(folder: Path, *, in_image: bool) -> None:
    """Write the job's variables, and the token that Ray demands from its clients."""
    token = folder / "ray_token"
    if not token.exists():  # a running job may use the one that exists
        _write_private(token, secrets.token_hex(32))
    variables = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
    variables["TAUOPT_CACHE"] = str(cache_folder())
    variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    if not in_image:
        lines.append(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    _write_private(folder / "environment", "\n".join(lines) + "\n")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at every moment."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _submit(command: Sequence[str]) -> str:
    """Run the command that submits a job, and return its output."""
    folder = Path(command[-1]).parent  # the batch system writes its own files there
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, cwd=folder
        )
    except FileNotFoundError:
        raise ServiceError(
            f"{command[0]} is not on this machine; submit where it is: {shlex.join(command)}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"{command[0]} does not answer; try: {shlex.join(command)}") from None
    if process.returncode:
        message = (process.stderr or process.stdout).strip()
        raise ServiceError(f"{command[0]} refuses {command[-1]}: {message}")
    return process.stdout.strip()
