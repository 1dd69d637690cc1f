"""Check whether this machine, or a group's service, is ready for searches; name the remedies."""

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
"""Checks that import for two to six seconds each, the longest first: Ray waits for daemons too.
That of the study storage takes one second, while these run."""
_REINSTALL = "reinstall: pip install --force-reinstall tauopt"
_LITTLE_GB, _TOO_LITTLE_GB = 10.0, 1.0


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    status: CheckStatus
    detail: str
    service: bool = False
    """Whether a service failed, rather than this machine."""


class _Note(Exception):  # noqa: N818 - not an error: the checks go on
    """A remark that needs no action before a search."""


_Checks = list[tuple[str, Callable[[], str]]]


def diagnose(
    *,
    output: Path | None = None,
    service: bool = False,
    on_wait: Callable[[str], None] = lambda name: None,
) -> Iterator[Finding]:
    """Run all checks, and yield their findings in a fixed order, each as soon as it is there.

    The slow checks run at the same time, each in its own process.

    Args:
        output: output folder; None means `tauopt-output`.
        service: check a group's service from a client's side instead of this machine.
        on_wait: called with the name of a check before a wait for it.
    Yields:
        Findings, the quick ones first.
    """
    folder = output_folder(output)
    checks = _service_checks(folder) if service else _machine_checks(folder)
    with contextlib.ExitStack() as stack:
        slow = {
            name: stack.enter_context(_started(name, folder, service=service))
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


def _machine_checks(output: Path) -> _Checks:
    return [
        ("versions", _versions),
        ("extras", _extras),
        ("bytecode", _bytecode),
        ("output folder", lambda: _disk(output)),
        ("cache folder", lambda: _disk(cache_folder())),
        ("study storage", lambda: _storage(output)),
        ("MLflow", lambda: _mlflow(output)),
        ("TensorFlow", _tensorflow),
        ("Ray", _ray),
    ]


def _service_checks(output: Path) -> _Checks:
    return [
        ("addresses", _addresses),
        ("study storage", lambda: _storage(output)),
        ("MLflow", lambda: _mlflow(output)),
        ("passwords", _passwords),
        ("Ray nodes", lambda: _nodes(output)),
    ]


@contextlib.contextmanager
def _started(name: str, output: Path, *, service: bool) -> Iterator[subprocess.Popen[str]]:
    """Start a check in its own process, which writes its finding to stdout as JSON."""
    arguments = [name, str(output), str(int(service))]
    command = [sys.executable, "-m", "tauopt.workflows.doctor", *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this process only, which then ends that one
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _finding(name: str, process: subprocess.Popen[str]) -> Finding:
    """Wait for the finding of another process; its death is a finding too."""
    answer, _ = process.communicate()
    if answer:
        return Finding(**json.loads(answer))
    return Finding(name, "failed", f"it ended with exit code {process.returncode}; {_REINSTALL}")


def _write_finding(name: str, output: str, service: str) -> None:
    """Run one check for another process, and write its finding to stdout."""
    # Exit instead of dying by the signal, so that what the check has started is cleaned up.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what libraries print goes to stderr, not into the finding
        checks = (_service_checks if int(service) else _machine_checks)(Path(output))
        json.dump(asdict(_run(name, dict(checks)[name])), answer)


def _run(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", check())
    except _Note as note:
        return Finding(name, "note", str(note))
    except TauoptError as error:
        return Finding(name, "failed", str(error), isinstance(error, ServiceError))
    except Exception as error:  # noqa: BLE001 - any broken part is a finding
        return Finding(name, "failed", f"{type(error).__name__}: {error}; {_REINSTALL}")


def _versions() -> str:
    from packaging.requirements import Requirement

    from tauopt.tracking.environment import installed, requirements

    wrong = []
    required = [Requirement(text) for text in requirements()]
    for requirement in (r for r in required if not r.marker):  # those of extras have a marker
        version = installed(requirement.name)
        if not version or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version or 'missing'} (expected {requirement})")
    if wrong:
        raise TauoptError("; ".join([*wrong, "remedy: pip install --upgrade tauopt"]))
    parts = ("tensorflow", "keras", "optuna", "ray", "mlflow", "uproot", "numpy")
    return f"Python {platform.python_version()}, " + ", ".join(f"{p} {installed(p)}" for p in parts)


def _extras() -> str:
    from tauopt.tracking.environment import installed

    missing = [extra for extra, names in _EXTRAS.items() if not all(map(installed, names))]
    if missing:
        raise _Note(
            f"not installed: {', '.join(missing)}; pip install 'tauopt[{','.join(missing)}]'"
        )
    return ", ".join(_EXTRAS)


def _bytecode() -> str:
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return "Python keeps its bytecode"
    spec = importlib.util.find_spec("tensorflow")
    if spec and spec.origin and Path(importlib.util.cache_from_source(spec.origin)).exists():
        return "PYTHONDONTWRITEBYTECODE is set, but TensorFlow is compiled already"
    raise _Note(
        "PYTHONDONTWRITEBYTECODE is set and TensorFlow is not compiled: importing it takes 10 s "
        "more in every worker; unset it, or run: python -m compileall -q $(python -c "
        "'import sysconfig; print(sysconfig.get_path(\"purelib\"))')"
    )


def _disk(folder: Path) -> str:
    existing = folder.absolute()
    while not existing.exists():  # the check makes no folder
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"tauopt")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise TauoptError(
            f"{existing} can't be written ({error.strerror}); make it writable, or choose "
            "another (-o for the output folder, TAUOPT_CACHE for the cache)"
        ) from error
    free_gb = shutil.disk_usage(existing).free / 1e9
    detail = f"{folder}: {free_gb:.1f} GB free"
    if free_gb < _TOO_LITTLE_GB:
        raise TauoptError(f"{detail}, expected at least {_TOO_LITTLE_GB:g}; make room")
    if free_gb < _LITTLE_GB:
        raise _Note(f"{detail}: enough for the demo, little for large ntuples")
    return detail


def _storage(output: Path) -> str:
    from tauopt.search.self_test import check_storage

    return check_storage(output=output)


def _mlflow(output: Path) -> str:
    from tauopt.tracking.self_test import check_mlflow

    return check_mlflow(output=output)


def _tensorflow() -> str:
    from tauopt.models.devices import gpus

    visible, present = gpus(), _count_gpus()
    if present and not visible:
        raise TauoptError(
            f"TensorFlow sees none of {present} GPUs; check CUDA_VISIBLE_DEVICES and the driver, "
            "then: pip install 'tensorflow[and-cuda]'"
        )
    if not visible:
        return "no GPU: trials run on the CPU"
    return f"{len(visible)} GPUs: {', '.join(visible)}"


def _count_gpus() -> int:
    """Return the number of NVIDIA GPUs that their driver lists."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


def _ray() -> str:
    from tauopt.search.self_test import check_ray

    cpus, gpus = check_ray()
    cluster = os.environ.get("RAY_ADDRESS")
    niceness = os.environ.get(NICENESS, "0")
    # At Ray's own default niceness trials starve beside other work.
    if cluster:
        priority = f"trials give way to other work unless its nodes were started with {NICENESS}=0"
    elif niceness == "0":
        priority = "trials run at the niceness of their search"
    else:
        priority = f"trials give way to other work by {NICENESS}={niceness}"
    detail = f"{cluster or 'this machine'}: {cpus:g} CPUs, {gpus:g} GPUs; {priority}"
    if not cluster and _count_gpus() and not gpus:
        raise TauoptError(f"{detail}, but the machine has GPUs; check CUDA_VISIBLE_DEVICES")
    return detail


def _addresses() -> str:
    """Check that the service's addresses are set, so that no search runs embedded unnoticed."""
    from tauopt.tracking.client import shown as without_secrets

    beginnings = {
        "MLFLOW_TRACKING_URI": ("http://", "https://"),
        "TAUOPT_STORAGE": ("postgresql", "mysql"),
        "RAY_ADDRESS": ("",),
    }
    for name, allowed in beginnings.items():
        value = os.environ.get(name, "")
        if not value or not value.startswith(allowed):
            expected = " or ".join(f"{start}..." for start in allowed if start) or "host:port"
            got = without_secrets(value) if value else "nothing"
            raise ServiceError(f"{name}: expected {expected}, got {got}")
    return ", ".join(beginnings)


def _passwords() -> str:
    from tauopt.tracking.self_test import check_closed

    return check_closed(os.environ.get("MLFLOW_TRACKING_URI", ""))


def _nodes(output: Path) -> str:
    from tauopt.search.self_test import check_cluster

    nodes = check_cluster([output.absolute()])
    return f"{len(nodes)}, all with tauopt {next(iter(nodes.values())).code}: {', '.join(nodes)}"


if __name__ == "__main__":
    _write_finding(*sys.argv[1:])
