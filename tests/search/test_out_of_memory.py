"""Lack of memory is recognised by types and by the kernel's counter, never by messages."""

from types import SimpleNamespace

import pytest

from tauopt.search import out_of_memory, tune_adapters
from tauopt.search.out_of_memory import out_of_memory_kills
from tauopt.search.tune_adapters import StudyScheduler
from tests.search.test_trainable import dataset, worker  # noqa: F401


class ResourceExhaustedError(Exception):
    """An error of a user's code with TensorFlow's name."""


def test_errors_are_recognised_by_type_and_not_by_name_or_message(monkeypatch):
    class Ours(MemoryError):
        pass

    class OfTensorFlow(Exception):
        pass

    errors = SimpleNamespace(ResourceExhaustedError=OfTensorFlow)
    monkeypatch.setitem(out_of_memory.sys.modules, "tensorflow", SimpleNamespace(errors=errors))
    assert out_of_memory.is_out_of_memory(MemoryError())
    assert out_of_memory.is_out_of_memory(Ours("no room"))
    assert out_of_memory.is_out_of_memory(OfTensorFlow("OOM when allocating tensor"))
    assert not out_of_memory.is_out_of_memory(ResourceExhaustedError("out of memory"))
    assert not out_of_memory.is_out_of_memory(RuntimeError("CUDA out of memory"))
    monkeypatch.delitem(out_of_memory.sys.modules, "tensorflow")
    assert not out_of_memory.is_out_of_memory(OfTensorFlow("out of memory"))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("cgroups", "file", "text"),
    [
        ("0::/user.slice/job\n", "user.slice/job/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("0::/\n", "memory.events", "oom_kill 2\noom_group_kill 0\n"),
        ("0::/of/the/host\n", "memory.events", "oom_kill 2\n"),
        ("9:pids:/a\n4:memory:/job/7\n0::/\n", "memory/job/7/memory.oom_control",
         "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ("4:cpu,memory:/gone\n", "memory/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ],
    ids=["v2", "v2 root", "v2 in a container", "v1", "v1 in a container"],
)  # fmt: skip
def test_the_kernel_s_counter_is_found(tmp_path, cgroups, file, text):
    write(tmp_path / "cgroup", cgroups)
    write(tmp_path / "mount" / file, text)
    kills = out_of_memory_kills(process=tmp_path / "cgroup", mount=tmp_path / "mount")
    assert kills == 2


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill many\n", "low 0\n"])
def test_where_nothing_is_counted_nothing_was_killed(tmp_path, text):
    write(tmp_path / "cgroup", "0::/job\n")
    write(tmp_path / "mount/job/memory.events", text)
    assert out_of_memory_kills(process=tmp_path / "cgroup", mount=tmp_path / "mount") == 0
    assert out_of_memory_kills(process=tmp_path / "none", mount=tmp_path) == 0


def test_a_dead_worker_s_message_decides_nothing_and_a_kill_is_reported_once(tmp_path, monkeypatch):
    """Its log may contain any text; the trial is retried unchanged."""
    kills, reasons = [7], []
    monkeypatch.setattr(tune_adapters, "out_of_memory_kills", lambda: kills[0])
    searcher = SimpleNamespace(died=lambda trial_id, reason: reasons.append(reason), error=None)
    scheduler = StudyScheduler(searcher)
    (tmp_path / "error.txt").write_text("Failure # 1\nRaised OutOfMemory: it ran out of memory\n")
    died = SimpleNamespace(trial_id="a", error_file=tmp_path / "error.txt", config={})
    for now in (7, 8, 8):
        kills[0] = now
        scheduler.on_trial_error(None, died)
    message = "its worker died: Raised OutOfMemory: it ran out of memory"
    assert reasons[0] == reasons[2] == message
    assert reasons[1].startswith(
        message + "; the kernel has killed for lack of memory here meanwhile:"
    )
    assert searcher.error is None


def test_a_worker_goes_on_after_a_trial_that_lacked_memory(worker, dataset, monkeypatch):  # noqa: F811
    dataset.mkdir()
    lacking = worker("")

    def lacks(folder):
        raise MemoryError
        yield

    monkeypatch.setattr(lacking, "train_trial", lacks)
    result = lacking.step()
    assert result["done"]
    assert result["failed"].startswith("out of memory with batches of 256: MemoryError; give ")
    monkeypatch.undo()
    assert lacking.reset_config(lacking.config)
    assert lacking.step()["number"] == 1
