"""Ray starts whichever temporary folder the environment names, and leaves no files behind."""

import os
import signal
import stat
from pathlib import Path

import pytest
import ray

from tauopt.cluster import start_ray
from tauopt.errors import ServiceError


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def long(tmp_path):
    """A temporary folder with a path as long as batch systems make it."""
    folder = tmp_path / "scratch" / "slurm" / "username" / "job.12345678-0001"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def terminations():
    """The SIGTERMs that this process received: its handler notes them and does not exit."""
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


@pytest.mark.service
def test_in_a_job_with_a_long_tmpdir_ray_starts_all_the_same_and_leaves_nothing(
    monkeypatch, no_ray_here, long, terminations
):
    """The handler of SIGTERM is the one from before Ray, both while Ray runs and afterwards."""
    monkeypatch.setenv("TMPDIR", str(long))
    with start_ray.environment({}), start_ray.running(cpus=1, variables={}):
        signal.raise_signal(signal.SIGTERM)
        assert terminations == [signal.SIGTERM]
        session = Path(ray._private.worker._global_node.get_session_dir_path())
        assert session.is_dir()
        assert not session.is_relative_to(long)
        assert stat.S_IMODE(session.parents[1].stat().st_mode) == 0o700
    assert not session.parents[1].exists()
    assert list(long.iterdir()) == []
    assert not ray.is_initialized()
    signal.raise_signal(signal.SIGTERM)
    assert terminations == [signal.SIGTERM] * 2


def test_a_short_folder_of_the_environment_is_used_by_ray_itself(monkeypatch):
    with start_ray.short_folder() as folder:
        assert folder is None
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    with start_ray.short_folder() as folder:
        assert folder is None


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize("given", ["/proc/x", "/no/such/place", "scratch", "", "/tmp/" + "t" * 36])
def test_an_unusable_folder_of_the_environment_is_replaced_by_a_short_one(monkeypatch, name, given):
    monkeypatch.setenv(name, given)
    with start_ray.short_folder() as folder:
        assert folder.parent.is_dir()
        assert len(os.fsencode(folder)) <= 40
        assert not folder.is_relative_to(given or "/none")
    assert not folder.parent.exists()


def test_the_length_of_a_path_is_counted_in_bytes_not_characters(monkeypatch, tmp_path):
    assert start_ray._folder_problem(Path("/" + "t" * 39)) == "does not exist or can't be written"
    assert "longer than the 40 bytes" in start_ray._folder_problem(Path("/" + "t" * 38 + "ä"))


def test_a_machine_without_a_usable_folder_is_an_error_of_one_line(monkeypatch, long):
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    monkeypatch.setattr(start_ray, "_SHORT_FOLDERS", (Path("/proc/x"), Path("/proc/y")))
    with pytest.raises(ServiceError, match=r"longer than the 40 bytes.*RAY_TMPDIR"):
        start_ray.short_folder().__enter__()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("Failed to start\nthe rest"),
              ValueError("bad"), TimeoutError("the GCS"), ConnectionError("refused")],
)  # fmt: skip
def test_any_error_at_the_start_of_ray_is_one_line_with_a_remedy(
    monkeypatch, no_ray_here, long, error
):
    monkeypatch.setenv("TMPDIR", str(long))
    folders = []

    def init(**settings):
        folders.append(Path(settings["_temp_dir"]))
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ServiceError) as caught, start_ray.running(cpus=1, variables={}):
        pass
    assert "Ray does not start on this machine: " in str(caught.value)
    assert str(error).partition("\n")[0] in str(caught.value)
    assert "RAY_TMPDIR" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    assert not folders[0].parent.exists()
