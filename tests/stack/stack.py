"""The services of docker-compose.yml as unprivileged processes on 127.0.0.1.

Each runs the command and has the environment that the compose file gives it; only addresses, ports
and folders are others. PostgreSQL is this machine's own, its image's script of first start is run.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.stack.compose import ROOT, argv, interpolated, services

HEAD = "127.0.0.2"
"""Ray takes 127.0.0.1 for a name of this machine's other address; its neighbours are as local."""
DRIVERS = "127.0.1.0"
"""What follows are the addresses of one-off commands, however many there are."""
SECRETS = (
    "postgres_password", "mlflow_password", "optuna_password", "mlflow_admin_password",
    "mlflow_secret_key", "ray_token",
)  # fmt: skip


def postgres_bin() -> Path | None:
    """Return the folder of PostgreSQL's programs; None if they are not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """What runs, and how it is reached."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _drivers: int = 0

    @property
    def nobody(self) -> dict[str, int]:
        """Whom PostgreSQL runs as where we are root, for which it refuses to run."""
        if os.getuid():
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid}

    @cached_property
    def user(self) -> dict[str, int]:
        """Whom all else runs as: likewise, if nobody may enter our virtual environment."""
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([sys.executable, "-c", "import tauopt"], check=True, cwd=ROOT,
                           capture_output=True, **self.nobody)  # fmt: skip
            return self.nobody
        return {}

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """Return the environment of a service, at this machine's addresses."""
        given = interpolated(services()[name].get("environment", {}), {})
        here = {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.ports["postgres"]),
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(self.ports["mlflow"]),
            "MLFLOW_ARTIFACTS": str(self.folder / "artifacts"),
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.ports['mlflow']}",
            "RAY_HOST": HEAD,
            "RAY_NODE_IP": HEAD,
            "RAY_PORT": str(self.ports["ray"]),
            "RAY_TMPDIR": str(self.folder / "ray"),
            "RAY_CPUS": "1",
            "TAUOPT_CACHE": str(self.folder / "cache"),
            "TAUOPT_OUTPUT": str(self.folder / "out"),
            "BACKUPS": str(self.folder / "backups"),
        }
        found = {key: here.get(key, str(value)) for key, value in given.items()}
        found = {
            key: value.replace("/run/secrets", str(self.folder / "secrets"))
            for key, value in found.items()
        }
        programs = postgres_bin()
        path = [str(Path(sys.executable).parent), str(programs), os.environ["PATH"]]
        return {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "TAUOPT_STACK": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            **found,
            **more,
        }

    def start(
        self, name: str, *, service: str = "", within: tuple[str, ...] = (), **more: str
    ) -> None:
        """Start a service's command in the background; its words go to a file.

        Args:
            name: of the process.
            service: whose command it is; empty means the one of that name.
            within: words of a command that runs it.
            more: variables of its environment.
        """
        service = service or name
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*within, *argv(services()[service])], env=self.environment(service, **more),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self.user,
            )  # fmt: skip

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kill a service and all that it started."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait()

    def command(self, *words: str, service: str = "tauopt", **more: str) -> subprocess.Popen[str]:
        """Run a one-off command as `docker compose run --rm SERVICE WORDS` does."""
        one_off = {**services()[service], **({"command": list(words)} if words else {})}
        self._drivers += 1
        more = {"RAY_NODE_IP": str(ipaddress.ip_address(DRIVERS) + self._drivers)} | more
        return subprocess.Popen(
            argv(one_off), env=self.environment(service, **more), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, **self.user,
        )  # fmt: skip

    def run(
        self, *words: str, service: str = "tauopt", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a one-off command to its end, which is that of its container too."""
        process = self.command(*words, service=service, **more)
        address = str(ipaddress.ip_address(DRIVERS) + self._drivers)
        out, err = process.communicate(timeout=300)
        self._kill_all(f"RAY_NODE_IP={address}\0")
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def healthy(self, service: str) -> bool:
        """Run the health check that the compose file gives a service."""
        test = services()[service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        words = [word.replace("ray-head:6379", f"{HEAD}:{self.ports['ray']}") for word in test]
        line = argv({"entrypoint": [], "command": words[1:]})
        environment = self.environment(service)
        if service == "postgres":
            environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])}
            environment["PGPASSWORD"] = self.secret("postgres_password")
        try:
            done = subprocess.run(
                line, env=environment, capture_output=True, cwd=self.folder, check=False,
                timeout=30, **self.user,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def wait(self, name: str, is_up: Callable[[], bool], *, wait_s: float = 120.0) -> None:
        give_up = time.monotonic() + wait_s
        while not is_up():
            ended = name in self.processes and self.processes[name].poll() is not None
            if ended or time.monotonic() > give_up:
                log = (self.folder / f"{name}.log").read_text()[-3000:]
                raise RuntimeError(f"{name} does not come up:\n{log}")
            time.sleep(0.3)

    def start_postgres(self) -> None:
        with (self.folder / "postgres.log").open("ab") as log:
            self.processes["postgres"] = subprocess.Popen(
                ["postgres", "-D", str(self.folder / "database"), "-h", "127.0.0.1",
                 "-p", str(self.ports["postgres"]), "-k", str(self.folder / "tmp")],
                env=self.environment("postgres"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, start_new_session=True, **self.nobody,
            )  # fmt: skip
        self.wait("postgres", self._answers)

    def _answers(self) -> bool:
        done = subprocess.run(
            ["pg_isready", "-h", "127.0.0.1", "-p", str(self.ports["postgres"])],
            env=self.environment("postgres"), capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def make_database(self) -> None:
        """Do what the image does at its first start: make the cluster, run the init script."""
        environment = self.environment("postgres")
        quiet = {"env": environment, "cwd": self.folder, "check": True, "capture_output": True}
        password = str(self.folder / "secrets" / "postgres_password")
        subprocess.run(
            ["initdb", "-D", str(self.folder / "database"), "-U", "postgres", "--no-sync",
             "--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={password}"],
            **quiet, **self.nobody,
        )  # fmt: skip
        self.start_postgres()
        environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])}
        environment["PGPASSWORD"] = self.secret("postgres_password")
        subprocess.run(["sh", str(ROOT / "docker/postgres-init.sh")], **quiet, **self.nobody)

    def start_ray(self, *, workers: int = 2) -> None:
        self.start("ray-head")
        self.wait("ray-head", lambda: self.healthy("ray-head"))
        for number in range(workers):
            address = f"127.0.0.{3 + number}"
            self.start(f"ray-worker-{number}", service="ray-worker", RAY_NODE_IP=address)
            # One after another: two that start at once on one machine take the same ports.
            self.wait("ray-head", lambda there=2 + number: self.nodes() >= there)

    def nodes(self) -> int:
        """Return how many nodes are in the Ray cluster, the head among them."""
        line = argv({"command": ["ray", "status", "--address", f"{HEAD}:{self.ports['ray']}"]})
        told = subprocess.run(
            line, env=self.environment("ray-head"), capture_output=True, text=True, check=False,
            timeout=30, **self.user,
        ).stdout  # fmt: skip
        return told.partition("Pending:")[0].count("node_")  # active ones and idle ones

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name, signal.SIGINT if name == "postgres" else signal.SIGKILL)
        self._kill_all("")

    def _kill_all(self, mark: str) -> None:
        """Kill what Ray has put into the background, of all whose environment holds a mark."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (place / "environ").read_text()
                if f"TAUOPT_STACK={self.folder}\0" in environment and mark in environment:
                    os.kill(int(place.name), signal.SIGKILL)


@contextlib.contextmanager
def running(folder: Path, *, workers: int = 2) -> Iterator[Stack]:
    """Give the whole stack for the length of the block.

    Args:
        folder: that everybody may enter; all files go there.
        workers: Ray workers of one CPU each.
    """
    stack = Stack(folder)
    stack.ports = {name: free_port() for name in ("postgres", "mlflow", "ray")}
    for name in ("secrets", "home", "tmp", "artifacts", "backups", "ray", "cache", "out"):
        (folder / name).mkdir()
    for name in SECRETS:
        (folder / "secrets" / name).write_text(secrets.token_hex(32))
    for place in [folder, *folder.rglob("*")] if stack.nobody else []:
        os.chown(place, stack.nobody["user"], stack.nobody["group"])
    try:
        stack.make_database()
        stack.start("mlflow")
        if workers:
            stack.start_ray(workers=workers)
        stack.wait("mlflow", lambda: stack.healthy("mlflow"))
        yield stack
    finally:
        stack.close()
