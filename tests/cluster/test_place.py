"""Ray starts whatever folder the environment names, and leaves nothing behind."""

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
    """A folder as batch systems give it to jobs."""
    folder = tmp_path / "scratch" / "slurm" / "username" / "job.12345678-0001"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def terminations():
    """What SIGTERM was answered with: a note each time, in place of the end of this process."""
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    yield came
    signal.signal(signal.SIGTERM, before)


def test_in_a_job_with_a_long_tmpdir_ray_starts_all_the_same_and_leaves_nothing(
    monkeypatch, no_ray_here, long, terminations
):
    """Also: SIGTERM does what it did before Ray, while it runs and after."""
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


def test_a_place_that_will_do_is_left_to_ray(monkeypatch):
    with start_ray.own_place() as place:
        assert place is None
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    with start_ray.own_place() as place:
        assert place is None


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize("given", ["/proc/x", "/no/such/place", "scratch", "", "/tmp/" + "t" * 36])
def test_where_the_environment_s_place_will_not_do_there_is_a_short_one(monkeypatch, name, given):
    monkeypatch.setenv(name, given)
    with start_ray.own_place() as place:
        assert place.parent.is_dir()
        assert len(os.fsencode(place)) <= 40
        assert not place.is_relative_to(given or "/none")
    assert not place.parent.exists()


def test_bytes_count_and_not_characters(monkeypatch, tmp_path):
    assert start_ray._unfit(Path("/" + "t" * 39)) == "does not exist or can't be written"
    assert "longer than the 40 bytes" in start_ray._unfit(Path("/" + "t" * 38 + "ä"))


def test_no_place_anywhere_is_said_in_a_line(monkeypatch, long):
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    monkeypatch.setattr(start_ray, "_SHORT", (Path("/proc/x"), Path("/proc/y")))
    with pytest.raises(ServiceError, match=r"longer than the 40 bytes.*RAY_TMPDIR"):
        start_ray.own_place().__enter__()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("Failed to start\nthe rest"),
              ValueError("bad"), TimeoutError("the GCS"), ConnectionError("refused")],
)  # fmt: skip
def test_whatever_ray_raises_when_it_is_started_is_one_line_with_a_remedy(monkeypatch, long, error):
    monkeypatch.setenv("TMPDIR", str(long))
    places = []

    def init(**settings):
        places.append(Path(settings["_temp_dir"]))
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ServiceError) as caught, start_ray.running(cpus=1, variables={}):
        pass
    assert "Ray does not start on this machine: " in str(caught.value)
    assert str(error).partition("\n")[0] in str(caught.value)
    assert "RAY_TMPDIR" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    assert not places[0].parent.exists()
