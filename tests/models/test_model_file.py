from __future__ import annotations

import json
import zipfile

import keras
import pytest

from tauopt.errors import CorruptError
from tauopt.models.build_model import build_model
from tauopt.models.keras_archive import MEMBERS
from tauopt.models.model_file import load_model, save_model
from tests.models.specs import SMALL, spec_for


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "best.keras"
    save_model(build_model(spec_for(SMALL["rnn"]), SMALL["rnn"], seed=1), path)
    return path


def altered(saved, tmp_path, change):
    """Copy a model with its configuration changed."""
    path = tmp_path / "altered.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in MEMBERS:
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return path


def test_a_model_with_another_digest_is_refused(saved):
    with pytest.raises(CorruptError, match="expected SHA-256"):
        load_model(saved, sha256="0" * 64)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CorruptError, match="No such file"):
        load_model(tmp_path / "none.keras")


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_model_cut_short_is_refused(saved, tmp_path, keep):
    path = tmp_path / "short.keras"
    path.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CorruptError):
        load_model(path)


@pytest.mark.parametrize(
    "hostile",
    [
        {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None},
        {"module": "kerashack", "class_name": "Dense", "config": {}, "registered_name": None},
        {"module": "mine", "class_name": "X", "config": {}, "registered_name": "tauopt>X"},
        {"module": "builtins", "class_name": "eval", "config": "1", "registered_name": None},
    ],
)
def test_classes_that_are_neither_keras_nor_ours_are_refused(saved, tmp_path, hostile):
    path = altered(saved, tmp_path, lambda config: config["config"]["layers"].append(hostile))
    with pytest.raises(CorruptError, match="neither Keras's nor ours"):
        load_model(path)


def test_a_lambda_layer_is_refused_before_keras_sees_it(tmp_path):
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Lambda(lambda v: v + 1)(x))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(CorruptError, match="Lambda"):
        load_model(tmp_path / "lambda.keras")


def test_members_that_keras_does_not_write_are_refused(saved, tmp_path):
    path = tmp_path / "more.keras"
    path.write_bytes(saved.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../escape.py", "x")
    with pytest.raises(CorruptError, match="members"):
        load_model(path)


def test_a_failed_save_leaves_the_earlier_model(saved, tmp_path, monkeypatch):
    path = tmp_path / "best.keras"
    path.write_bytes(saved.read_bytes())
    model = build_model(spec_for(SMALL["dense"]), SMALL["dense"], seed=1)
    monkeypatch.setattr(model, "save", lambda target: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_model(model, path)
    assert path.read_bytes() == saved.read_bytes()
    assert list(tmp_path.iterdir()) == [path]
