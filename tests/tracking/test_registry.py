from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from tauopt.durable import sha256_file
from tauopt.errors import CorruptError, DataError, InvalidNameError, ServiceError
from tauopt.tracking import registry, runs
from tauopt.tracking.model_packing import pack_model
from tauopt.tracking.replay import ChildRun
from tauopt.tracking.retries import retry
from tauopt.tracking.shipper import Shipper
from tauopt.tracking.spool import SpoolTracker

EXAMPLE = {
    "candidate": np.ones((2, 3), np.float32),
    "tracks": np.zeros((2, 4, 5), np.float32),
    "tracks_mask": np.ones((2, 4), bool),
}


@pytest.fixture
def name():
    return f"tau-{uuid.uuid4().hex}"


def make_entry(folder, run_id, content=b"a model", **changes):
    model = folder / "best.keras"
    model.write_bytes(content + run_id.encode())
    facts = {
        "run_id": run_id,
        "model": model,
        "sha256": sha256_file(model),
        "example": EXAMPLE,
        "output": np.full((2, 6), 1 / 6, np.float32),
        "card": "# A tau classifier",
        "verdict": {"better": True},
        "tags": {"tauopt.objective": "rejection@0.75"},
    }
    return registry.VersionEntry(**(facts | changes))


def make_champion(client, name, entry):
    """Register a model, and move the alias `champion` to it, whichever version has it."""
    version = registry.register(client, name, entry)
    now = registry.champion(client, name)
    expected = str(now.version) if now else ""
    assert registry.move_alias(client, name, str(version.version), expected=expected)
    return version


def test_same_digest_is_the_same_version_and_another_one_the_next(client, parent, tmp_path, name):
    assert registry.champion(client, name) is None
    first = make_champion(client, name, make_entry(tmp_path, parent))
    assert make_champion(client, name, make_entry(tmp_path, parent)).version == first.version
    assert registry.champion(client, name).version == first.version
    other = make_champion(client, name, make_entry(tmp_path, parent, b"another"))
    assert [v.version for v in registry.versions(client, name)] == [first.version, other.version]
    assert registry.champion(client, name).version == other.version
    assert json.loads(other.tags[registry.VERDICT]) == {"better": True}
    assert other.description == "# A tau classifier"
    assert other.run_id == parent


def test_version_holds_the_very_file_with_signature_and_example(client, parent, tmp_path, name):
    from mlflow.models import Model

    entry = make_entry(tmp_path, parent)
    version = registry.register(client, name, entry)
    path, sha256 = registry.fetch_model(client, version, folder=tmp_path / "got")
    assert path.read_bytes() == entry.model.read_bytes()
    assert sha256 == entry.sha256
    packed = Model.load(version.source.removeprefix("file://"))
    assert packed.signature.inputs.input_names() == list(EXAMPLE)
    assert [spec.shape for spec in packed.signature.inputs.inputs] == [(-1, 3), (-1, 4, 5), (-1, 4)]
    assert packed.saved_input_example_info
    logged = client.get_run(parent).outputs.model_outputs
    assert [client.get_logged_model(o.model_id).name for o in logged] == [name]


def test_altered_file_is_refused_and_nothing_registered(client, parent, tmp_path, name):
    entry = make_entry(tmp_path, parent)
    entry.model.write_bytes(b"altered")
    with pytest.raises(CorruptError, match=r"best\.keras"):
        registry.register(client, name, entry)
    assert registry.versions(client, name) == []


def test_name_that_is_not_allowed_is_refused(client, parent, tmp_path):
    with pytest.raises(InvalidNameError):
        registry.register(client, "../tau", make_entry(tmp_path, parent))


class Dies:
    """A client that is killed after one of its calls."""

    def __init__(self, client, call):
        self._client, self._call = client, call

    def __getattr__(self, name):
        real = getattr(self._client, name)

        def call(*args, **kwargs):
            result = real(*args, **kwargs)
            if name == self._call:
                raise KeyboardInterrupt
            return result

        return call if callable(real) else real


@pytest.mark.parametrize(
    "last",
    ["create_registered_model", "create_logged_model", "log_model_artifacts",
     "finalize_logged_model", "create_model_version", "set_registered_model_alias"],
)  # fmt: skip
def test_registration_killed_half_way_is_completed_by_the_next(
    client, parent, tmp_path, name, last
):
    entry = make_entry(tmp_path, parent)
    with pytest.raises(KeyboardInterrupt):
        make_champion(Dies(client, last), name, entry)
    if last != "set_registered_model_alias":
        assert registry.champion(client, name) is None
    version = make_champion(client, name, entry)
    assert [v.version for v in registry.versions(client, name)] == [version.version]
    assert registry.champion(client, name).version == version.version
    registry.fetch_model(client, version, folder=tmp_path / "got")


def test_lost_reply_makes_no_second_version(client, parent, tmp_path, name):
    from mlflow.exceptions import MlflowException

    class Loses(Dies):
        def __getattr__(self, call_name):
            call = super().__getattr__(call_name)
            if call_name != self._call:
                return call

            def once(*args, **kwargs):
                self._call = ""
                try:
                    return call(*args, **kwargs)
                except KeyboardInterrupt:
                    raise MlflowException("the reply was lost") from None

            return once

    registry.register(Loses(client, "create_model_version"), name, make_entry(tmp_path, parent))
    assert len(registry.versions(client, name)) == 1


def test_registry_that_always_fails_is_a_service_error(monkeypatch):
    from mlflow.exceptions import MlflowException

    monkeypatch.setattr("tauopt.tracking.retries.time.sleep", lambda _: None)

    def fail():
        raise MlflowException("500")

    with pytest.raises(ServiceError, match="500"):
        retry(fail)


def test_concurrent_registrations_end_with_unique_versions(client, parent, tmp_path, name):
    contents = [b"model a", b"model b", b"model c", b"model c"]
    made, errors = {}, []

    def work(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            entry = make_entry(folder, parent, contents[number])
            made[number] = registry.register(client, name, entry)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert made[2].version == made[3].version
    held = registry.versions(client, name)
    assert len({v.tags["tauopt.model_sha256"] for v in held}) == len(held) == 3


class Meets:
    """A client whose first read of an alias waits until the other client has read it too.

    `stalls_s` delays its move of the alias: waiting a while does not show who will have moved it.
    """

    def __init__(self, client, barrier, *, address=None, stalls_s=0.0):
        self._client, self._barrier, self._stalls_s = client, barrier, stalls_s
        self.tracking_uri = address or client.tracking_uri

    def set_registered_model_alias(self, *args):
        time.sleep(self._stalls_s)
        return self._client.set_registered_model_alias(*args)

    def __getattr__(self, name):
        return getattr(self._client, name)

    def get_model_version_by_alias(self, *args):
        try:
            return self._client.get_model_version_by_alias(*args)
        finally:
            barrier, self._barrier = self._barrier, None
            if barrier is not None:
                with contextlib.suppress(threading.BrokenBarrierError):
                    barrier.wait(0.5)


@pytest.mark.parametrize("reigning", ["", "3"], ids=["no champion", "a champion"])
@pytest.mark.parametrize("address", [None, "https://mlflow.example"], ids=["embedded", "server"])
def test_of_two_simultaneous_moves_of_the_alias_one_succeeds_and_the_other_reports_failure(
    client, name, address, reigning
):
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, source=client.get_experiment("0").artifact_location)
    if reigning:
        assert registry.move_alias(client, name, reigning, expected="")
    barrier, won = threading.Barrier(2), {}

    def move(version):
        mine = Meets(
            client, barrier, address=address, stalls_s=1.0 if version == "1" and address else 0.0
        )
        won[version] = registry.move_alias(mine, name, version, expected=reigning)

    threads = [threading.Thread(target=move, args=(version,)) for version in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    present = str(registry.champion(client, name).version)
    assert won == {"1": present == "1", "2": present == "2"}
    loser = "12".replace(present, "")
    assert not registry.move_alias(client, name, loser, expected=reigning)
    assert registry.move_alias(client, name, present, expected=present)
    assert registry.move_alias(client, name, loser, expected=present)


def test_an_alias_that_was_removed_meanwhile_is_not_moved(client, name):
    client.create_registered_model(name)
    client.create_model_version(name, source=client.get_experiment("0").artifact_location)
    assert not registry.move_alias(client, name, "1", expected="1")
    assert registry.champion(client, name) is None


def test_model_of_a_run_is_fetched_and_checked(client, parent, uid, trial, tmp_path):
    tracker = SpoolTracker(trial)
    (trial / "best.keras").write_bytes(b"a model")
    tracker.artifact(trial / "best.keras", folder="model")
    with Shipper(client, poll_s=0.05) as shipper:
        shipper.watch(f"{uid}/0", trial, ChildRun(parent=parent, name="t000", uid=f"{uid}/0"))
        assert shipper.drain(20)
        run = runs.find_run(client, shipper.run_id(f"{uid}/0"))
    path, sha256 = registry.fetch_model(client, run, folder=tmp_path / "got")
    assert sha256 == sha256_file(trial / "best.keras") == sha256_file(path)
    stored = Path(unquote(urlsplit(run.info.artifact_uri).path)) / "model" / "best.keras"
    stored.write_bytes(b"altered")
    with pytest.raises(CorruptError, match="altered"):
        registry.fetch_model(client, run, folder=tmp_path / "again")
    stored.unlink()
    with pytest.raises(DataError, match="can't be fetched"):
        registry.fetch_model(client, run, folder=tmp_path / "third")


def test_run_without_a_model_has_none_to_fetch(client, parent, tmp_path):
    with pytest.raises(DataError, match="has no model"):
        registry.fetch_model(client, client.get_run(parent), folder=tmp_path)


def test_keras_model_with_layers_of_its_own_loads_without_pickle(tmp_path, monkeypatch):
    import keras
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    @keras.saving.register_keras_serializable(package="test_registry")
    class Shift(keras.layers.Layer):
        def call(self, x):
            return x + 2.0

    inputs = {
        "candidate": keras.Input((3,), name="candidate"),
        "tracks": keras.Input((4, 5), name="tracks"),
        "tracks_mask": keras.Input((4,), dtype="bool", name="tracks_mask"),
    }
    parts = [
        Shift()(inputs["candidate"]),
        keras.layers.Flatten()(inputs["tracks"]),
        keras.ops.cast(inputs["tracks_mask"], "float32"),
    ]
    merged = keras.layers.Concatenate()(parts)
    model = keras.Model(inputs, keras.layers.Dense(6, activation="softmax")(merged))
    model.save(tmp_path / "best.keras")
    expected = model.predict(EXAMPLE, verbose=0)
    packed = tmp_path / "packed"
    pack_model(packed, tmp_path / "best.keras", example=EXAMPLE, output=expected, metadata={})
    loaded = mlflow.pyfunc.load_model(str(packed))
    np.testing.assert_array_equal(loaded.predict(EXAMPLE), expected)
    np.testing.assert_array_equal(loaded.predict(loaded.input_example), expected)
    assert not list(packed.rglob("*pickle*"))
