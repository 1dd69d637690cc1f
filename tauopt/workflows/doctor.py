"""Is this machine ready for a search, and what to do where it is not?"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tauopt.cluster.start_ray import NICENESS
from tauopt.errors import ServiceError, TauoptError
from tauopt.workflows.paths import cache_folder, output_folder

CheckStatus = Literal["ok", "note", "failed"]
_EXTRAS = {
    "demo": ("pythia8mc", "fastjet"),
    "onnx": ("tf2onnx", "onnxruntime"),
    "xrootd": ("fsspec-xrootd",),
    "postgres": ("psycopg",),
}
_SLOW = ("Ray", "Ray nodes", "TensorFlow", "MLflow")
"""Checks of two to six seconds of imports each, the longest first: Ray waits for daemons too. The
study storage has one second, beside them."""
_REINSTALL = "reinstall: pip install --force-reinstall tauopt"
_LITTLE_GB, _TOO_LITTLE_GB = 10.0, 1.0


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    status: CheckStatus
    detail: str
    service: bool = False
    """A service failed, rather than this machine."""


class _Note(Exception):  # noqa: N818 - not an error: said, and the checks go on
    """Something worth telling that stops nothing."""


_Checks = list[tuple[str, Callable[[], str]]]


def diagnose(
    *,
    output: Path | None = None,
    service: bool = False,
    on_wait: Callable[[str], None] = lambda name: None,
) -> Iterator[Finding]:
    """Check everything; a finding as soon as it and those before it are there.

    What imports for seconds is checked at the same time, each in a process of its own.

    Args:
        output: output folder; None means `tauopt-output`.
        service: check a group's service from a client's side instead of this machine.
        on_wait: is told the name of a check that is waited for.
    Yields:
        Findings, the quick ones first.
    """
    place = output_folder(output)
    checks = _of_service(place) if service else _of_machine(place)
    with contextlib.ExitStack() as begun:
        slow = {
            name: begun.enter_context(_begun(name, place, service=service))
            for name in _SLOW
            if name in dict(checks)
        }
        for name, check in checks:
            if name not in slow:
                yield _run(name, check)
                continue
            if slow[name].poll() is None:
                on_wait(name)
            yield _finding(name, slow[name])


def _of_machine(place: Path) -> _Checks:
    return [
        ("versions", _versions),
        ("extras", _extras),
        ("bytecode", _bytecode),
        ("output folder", lambda: _disk(place)),
        ("cache folder", lambda: _disk(cache_folder())),
        ("study storage", lambda: _storage(place)),
        ("MLflow", lambda: _mlflow(place)),
        ("TensorFlow", _tensorflow),
        ("Ray", _ray),
    ]


def _of_service(place: Path) -> _Checks:
    return [
        ("addresses", _addresses),
        ("study storage", lambda: _storage(place)),
        ("MLflow", lambda: _mlflow(place)),
        ("passwords", _passwords),
        ("Ray nodes", lambda: _nodes(place)),
    ]


@contextlib.contextmanager
def _begun(name: str, place: Path, *, service: bool) -> Iterator[subprocess.Popen[str]]:
    """Begin a check in a process of its own, which writes its finding to stdout as JSON."""
    command = [sys.executable, "-m", "tauopt.workflows.doctor", name, str(place), str(int(service))]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to handle; what it has started ends with it
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _finding(name: str, process: subprocess.Popen[str]) -> Finding:
    """Wait for the finding of another process; that it died is one."""
    answer, _ = process.communicate()
    if answer:
        return Finding(**json.loads(answer))
    return Finding(name, "failed", f"it ended with exit code {process.returncode}; {_REINSTALL}")


def _answer(name: str, place: str, service: str) -> None:
    """Do one check for another process; what libraries print must not get into the finding."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        checks = _of_service(Path(place)) if int(service) else _of_machine(Path(place))
        json.dump(asdict(_run(name, dict(checks)[name])), answer)


def _run(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", check())
    except _Note as note:
        return Finding(name, "note", str(note))
    except TauoptError as error:
        return Finding(name, "failed", str(error), isinstance(error, ServiceError))
    except Exception as error:  # noqa: BLE001 - a broken part is what a doctor is asked about
        return Finding(name, "failed", f"{type(error).__name__}: {error}; {_REINSTALL}")


def _versions() -> str:
    from packaging.requirements import Requirement

    from tauopt.tracking.environment import installed, requirements

    wrong = []
    wanted = [Requirement(text) for text in requirements()]
    for requirement in (r for r in wanted if not r.marker):
        found = installed(requirement.name)
        if not found or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found or 'missing'} (expected {requirement})")
    if wrong:
        raise TauoptError("; ".join([*wrong, "remedy: pip install --upgrade tauopt"]))
    parts = ("tensorflow", "keras", "optuna", "ray", "mlflow", "uproot", "numpy")
    return f"Python {platform.python_version()}, " + ", ".join(f"{p} {installed(p)}" for p in parts)


def _extras() -> str:
    from tauopt.tracking.environment import installed

    lacking = [extra for extra, names in _EXTRAS.items() if not all(map(installed, names))]
    if lacking:
        raise _Note(f"not there: {', '.join(lacking)}; pip install 'tauopt[{','.join(lacking)}]'")
    return ", ".join(_EXTRAS)


def _bytecode() -> str:
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return "Python keeps what it compiles"
    spec = importlib.util.find_spec("tensorflow")
    if spec and spec.origin and Path(importlib.util.cache_from_source(spec.origin)).exists():
        return "PYTHONDONTWRITEBYTECODE is set, but TensorFlow is compiled already"
    raise _Note(
        "PYTHONDONTWRITEBYTECODE is set and TensorFlow is not compiled: importing it takes 10 s "
        "more in every worker; unset it, or run: python -m compileall -q $(python -c "
        "'import sysconfig; print(sysconfig.get_path(\"purelib\"))')"
    )


def _disk(folder: Path) -> str:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"tauopt")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise TauoptError(
            f"{there} can't be written ({error.strerror}); make it writable, or name another one "
            "(-o for the output folder, TAUOPT_CACHE for the cache)"
        ) from error
    free_gb = shutil.disk_usage(there).free / 1e9
    told = f"{folder}: {free_gb:.1f} GB free"
    if free_gb < _TOO_LITTLE_GB:
        raise TauoptError(f"{told}, expected at least {_TOO_LITTLE_GB:g}; make room")
    if free_gb < _LITTLE_GB:
        raise _Note(f"{told}: enough for the demo, little for large ntuples")
    return told


def _storage(output: Path) -> str:
    from tauopt.search.self_test import check_storage

    return check_storage(output=output)


def _mlflow(output: Path) -> str:
    from tauopt.tracking.self_test import check_mlflow

    return check_mlflow(output=output)


def _tensorflow() -> str:
    from tauopt.models.devices import gpus

    seen, there = gpus(), _gpus_there()
    if there and not seen:
        raise TauoptError(
            f"TensorFlow sees none of {there} GPUs; check CUDA_VISIBLE_DEVICES and the driver, "
            "then: pip install 'tensorflow[and-cuda]'"
        )
    return f"{len(seen)} GPUs: {', '.join(seen)}" if seen else "no GPU: trials run on the CPU"


def _gpus_there() -> int:
    """Count the machine's NVIDIA GPUs as their driver sees them."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def _ray() -> str:
    from tauopt.search.self_test import check_ray

    cpus, gpus = check_ray()
    where = os.environ.get("RAY_ADDRESS") or "this machine"
    told = f"{where}: {cpus:g} CPUs, {gpus:g} GPUs; {_niceness(where)}"
    if where == "this machine" and _gpus_there() and not gpus:
        raise TauoptError(f"{told}, but the machine has GPUs; check CUDA_VISIBLE_DEVICES")
    return told


def _niceness(where: str) -> str:
    """Say how much trials give way to other work: at Ray's own niceness they starve beside it."""
    if where != "this machine":
        return f"trials give way to other work unless its nodes were started with {NICENESS}=0"
    nice = os.environ.get(NICENESS, "0")
    if nice == "0":
        return "trials run at the niceness of their search"
    return f"trials give way to other work by {NICENESS}={nice}"


def _addresses() -> str:
    """Check that nothing of a search would be embedded without anybody noticing."""
    from tauopt.tracking.client import shown as without_secrets

    wanted = {
        "MLFLOW_TRACKING_URI": ("http://", "https://"),
        "TAUOPT_STORAGE": ("postgresql", "mysql"),
        "RAY_ADDRESS": ("",),
    }
    for name, begins in wanted.items():
        value = os.environ.get(name, "")
        if not value or not value.startswith(begins):
            expected = " or ".join(f"{begin}..." for begin in begins if begin) or "host:port"
            found = without_secrets(value) if value else "nothing"
            raise ServiceError(f"{name}: expected {expected}, got {found}")
    return ", ".join(wanted)


def _passwords() -> str:
    from tauopt.tracking.self_test import check_closed

    return check_closed(os.environ.get("MLFLOW_TRACKING_URI", ""))


def _nodes(output: Path) -> str:
    from tauopt.search.self_test import check_cluster

    sights = check_cluster([output.absolute()])
    return f"{len(sights)}, all with tauopt {next(iter(sights.values())).code}: {', '.join(sights)}"


if __name__ == "__main__":
    _answer(*sys.argv[1:])
