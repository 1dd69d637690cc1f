"""A search as a job of a batch system: scripts from templates, which may be submitted."""

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
_KEPT = (
    "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN", "TAUOPT_STORAGE", "X509_USER_PROXY",
)  # fmt: skip
"""Variables that the job needs as they are now."""


@dataclass(frozen=True)
class BatchRequest:
    """What a job asks of its batch system."""

    nodes: int = 1
    cpus: int = 8
    """Of each node."""
    gpus: int = 0
    """Of each node."""
    memory_gb: int = 32
    """Of each node."""
    hours: float = 24.0
    """A job that needs more is stopped, keeps all, and goes to the queue again (Slurm)."""


@dataclass(frozen=True)
class SubmittedJob:
    """The scripts that were written."""

    name: str
    folder: Path
    command: str
    """Submits them."""
    concurrent: int
    """Trials at a time on all nodes."""
    told: str = ""
    """What the batch system answered; empty if nothing was submitted."""


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
    """Write what runs a search on nodes of a batch system: a Ray cluster of its own, and a driver.

    The folder of the scripts lies in the output folder, which all nodes must see. Addresses and
    passwords of services go into a file that only its owner can read, no script has them.

    Args:
        path: experiment file with ranges.
        system: the batch system.
        machines: what the job asks for.
        overrides: `path=value` each, laid on the file in order.
        name: of the search; None means the experiment's name.
        output: output folder; None means `tauopt-output`.
        image: Apptainer image that holds tauopt; None means this very environment.
        options: more for the batch system, `key=value` each.
        now: submit it too.
    Raises:
        ConfigError: the file is wrong.
        UsageError: nothing to search, a trial fits on no node, a node would lie idle, or the name
            is another search's.
        ServiceError: the batch system refuses it, or is not there.
    """
    from tauopt.study.search_setup import search_folder
    from tauopt.study.trial_runs import EXPERIMENT

    file = read_search(path, overrides=overrides)
    name = check_name(name or file.name, what="name of the search")
    concurrent = _concurrent(file, machines)
    place = make_folder(output_folder(output), option="-o").absolute()
    record = search_folder(place, name) / EXPERIMENT
    if record.exists() and record.read_text() != file.text:
        raise UsageError(
            f"search {name!r} was begun with another file ({record}), and a job would go on with "
            "that one: give this search another --name"
        )
    folder = make_folder(place / BATCH / name, option="-o")
    if image is not None and not image.exists():
        raise UsageError(f"{image}: no such image; README says how one is built")
    words = [str(path.absolute()), "--name", name, "-o", str(place)]
    words += [word for override in overrides for word in ("--set", override)]
    filled = _common(name, machines) | {
        "RECORD": shlex.quote(str(record)),
        "RESUME": shlex.join([name, "-o", str(place)]),
        "SEARCH": shlex.join(words),
        "INSIDE": _inside(image, gpus=machines.gpus, bind=[place, path.absolute().parent]),
        "LOG": shlex.quote(f"{folder}/slurm-%j.log"),
        **_of_system(system, machines, options),
    }
    _write_environment(folder, own=image is None)
    for script in ("job.sh", _SCRIPT[system]):
        filled["FOLDER"] = shlex.quote(str(folder)) if script.endswith(".sh") else str(folder)
        content = _filled((_TEMPLATES / script).read_text(), filled)
        write_bytes(folder / script, content.encode())
        (folder / script).chmod(0o755)
    command = [_SUBMIT[system], str(folder / _SCRIPT[system])]
    told = _submit(command) if now else ""
    return SubmittedJob(name, folder, shlex.join(command), concurrent, told)


def _concurrent(file: ExperimentFile, machines: BatchRequest) -> int:
    """Return how many trials run at a time.

    Raises:
        UsageError: none fits on a node, or nodes or GPUs would lie idle.
    """
    from tauopt.search.ray_resources import fitting

    resources = file.base.search.resources
    if machines.gpus and not resources.gpus:
        raise UsageError(
            "--gpus: no trial would use one, for search.resources.gpus is 0; set it, for instance "
            "with --set search.resources.gpus=0.25"
        )
    whole = resources.model_copy(update={"concurrent": 0})
    a_node = fitting(whole, {"CPU": machines.cpus, "GPU": machines.gpus})
    if a_node < 1:
        raise UsageError(
            f"a trial takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs "
            f"(search.resources), a node has {machines.cpus} and {machines.gpus}: ask for larger "
            "nodes (--cpus, --gpus), or lower search.resources"
        )
    if 0 < resources.concurrent < machines.nodes:
        raise UsageError(
            f"--nodes {machines.nodes}: {resources.concurrent} trials run at a time "
            "(search.resources.concurrent), so nodes would lie idle; ask for fewer, or for as many "
            "trials as fit with --set search.resources.concurrent=0"
        )
    number = a_node * machines.nodes
    return min(number, resources.concurrent) if resources.concurrent else number


def _common(name: str, machines: BatchRequest) -> dict[str, str]:
    return {
        "NAME": name,
        "NODES": str(machines.nodes),
        "CPUS": str(machines.cpus),
        "GPUS": str(machines.gpus),
    }


def _of_system(system: System, machines: BatchRequest, options: Sequence[str]) -> dict[str, str]:
    """Return what a batch system calls things.

    Raises:
        UsageError: an option that is not `key=value`, or would break out of its line.
    """
    pairs = [option.partition("=") for option in options]
    for key, sign, value in pairs:
        if not key or not sign or "\n" in key + value:
            raise UsageError(f"--option {key!r}: expected KEY=VALUE, such as partition=gpu")
    seconds = round(machines.hours * 3600)
    if system == "slurm":
        asked = [(f"--{key.lstrip('-')}", value) for key, _, value in pairs]
        if machines.gpus:
            asked.insert(0, ("--gpus-per-node", str(machines.gpus)))
        lines = [f"#SBATCH {key}={value}" for key, value in asked]
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
    """Return the words that run a command where tauopt is installed."""
    if image is None:
        return "env"
    seen = ",".join(dict.fromkeys([*map(str, bind), str(cache_folder())]))
    words = ["apptainer", "exec", *(["--nv"] if gpus else []), "--bind", seen]
    return shlex.join([*words, str(image.absolute())])


def _write_environment(folder: Path, *, own: bool) -> None:
    """Write the variables of the job, and once a token without which nobody may use its Ray."""
    token = folder / "ray_token"
    if not token.exists():  # a job may be running with it
        _write_private(token, secrets.token_hex(32))
    kept = {name: os.environ[name] for name in _KEPT if os.environ.get(name)}
    kept["TAUOPT_CACHE"] = str(cache_folder())
    kept |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in kept.items()]
    if own:
        lines.append(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    _write_private(folder / "environment", "\n".join(lines) + "\n")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def _submit(command: Sequence[str]) -> str:
    folder = Path(command[-1]).parent  # where the batch system puts its own files
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, cwd=folder
        )
    except FileNotFoundError:
        raise ServiceError(
            f"{command[0]} is not on this machine; submit where it is: {shlex.join(command)}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"{command[0]} does not answer; try: {shlex.join(command)}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ServiceError(f"{command[0]} refuses {command[-1]}: {said}")
    return done.stdout.strip()
