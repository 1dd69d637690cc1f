"""Hostile model files: each is refused with the reason, in bounded time, without running its code.

Any code in these files would create the canary, a file in the test's folder.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import struct
import time
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from tauopt.errors import CorruptError
from tauopt.models.build_model import build_model
from tauopt.models.keras_archive import MEMBERS, WEIGHTS
from tauopt.models.model_file import foreign_classes, load_model, save_model
from tests.models.specs import SMALL, spec_for


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "best.keras"
    save_model(build_model(spec_for(SMALL["rnn"]), SMALL["rnn"], seed=1), path)
    return path.read_bytes()


@pytest.fixture
def canary(tmp_path, monkeypatch):
    path = tmp_path / "canary"
    monkeypatch.setenv("CANARY", str(path))
    return path


def refused(data, tmp_path, canary, message):
    path = tmp_path / "hostile.keras"
    path.write_bytes(data)
    begun = time.monotonic()
    with pytest.raises(CorruptError, match=message):
        load_model(path)
    assert time.monotonic() - begun < 20
    assert not canary.exists()


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in MEMBERS}


def packed(parts, *, method=zipfile.ZIP_STORED):
    """Return an archive of (name, content) pairs; names may occur twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return out.getvalue()


def with_config(good, change):
    parts = members(good)
    config = json.loads(parts["config.json"])
    changed = change(config)
    parts["config.json"] = json.dumps(config if changed is None else changed).encode()
    return packed(parts.items())


def with_weights(good, write):
    parts = members(good)
    out = io.BytesIO(parts[WEIGHTS])
    with h5py.File(out, "r+") as file:
        write(file)
    parts[WEIGHTS] = out.getvalue()
    return packed(parts.items())


# Classes in a configuration that run code or read files: description -> module, name, config.

CODE = base64.b64encode(
    marshal.dumps(compile("import os; open(os.environ['CANARY'], 'w').close()", "x", "exec"))
).decode()
LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": CODE, "defaults": None, "closure": None},
}
TOUCH = "import os; open(os.environ['CANARY'], 'w').close()"
CLASSES = {
    "a lambda layer with marshalled code": ("keras.layers", "Lambda", {"function": LAMBDA}),
    "a lambda value": (None, "__lambda__", LAMBDA["config"]),
    "a bare function of builtins": ("builtins", "function", "eval"),
    "builtins.eval": ("builtins", "eval", TOUCH),
    "builtins.exec": ("builtins", "exec", TOUCH),
    "os.system": ("os", "system", "touch $CANARY"),
    "posix.system": ("posix", "system", "touch $CANARY"),
    "subprocess.Popen": ("subprocess", "Popen", {"args": "touch $CANARY", "shell": True}),
    "subprocess.run": ("subprocess", "run", "touch $CANARY"),
    "importlib": ("importlib", "import_module", "antigravity"),
    "runpy": ("runpy", "run_path", "/tmp/x.py"),
    "pickle.loads": ("pickle", "loads", "cos"),
    "a module beside keras": ("kerashack.layers", "Dense", {}),
    "a private part of keras": ("keras.src.utils.file_utils", "get_file", {}),
    "keras's own downloader": ("keras.utils", "get_file", {"origin": "http://127.0.0.1:9/x"}),
    "keras's own loader": ("keras.models", "load_model", {"filepath": "/etc/passwd"}),
    "keras's unsafe switch": ("keras.config", "enable_unsafe_deserialization", {}),
    "a torch module": ("keras.layers", "TorchModuleWrapper", {"module": "x"}),
    "a SavedModel by path": ("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved"}),
    "a JAX function": ("keras.layers", "JaxLayer", {"call_fn": "x"}),
    "a Flax module": ("keras.layers", "FlaxLayer", {"module": "x"}),
    "a vocabulary of any file": ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    "a vocabulary of an address": ("keras.layers", "IntegerLookup", {"vocabulary": "http://127.0.0.1:9/v"}),
    "a vocabulary of text": ("keras.layers", "TextVectorization", {"vocabulary": "/etc/shadow"}),
    "a name of ours that is not ours": ("mine", "X", {}),
    "a class without a module": (None, "Popen", {}),
    "a module that is no text": (["os"], "system", {}),
    "a class that is no text": ("keras.layers", {"x": 1}, {}),
}  # fmt: skip


def named(module, name, config, registered=None):
    return {
        "module": module, "class_name": name, "config": config, "registered_name": registered,
    }  # fmt: skip


@pytest.mark.parametrize("case", CLASSES)
def test_a_layer_that_runs_or_reads_something_is_refused(good, tmp_path, canary, case):
    hostile = named(*CLASSES[case])
    data = with_config(good, lambda config: config["config"]["layers"].append(hostile))
    refused(data, tmp_path, canary, "neither Keras's nor ours|no Keras archive|TypeError")


PLACES = {
    "an activation": lambda layer, x: layer["config"].__setitem__("activation", x),
    "an initializer": lambda layer, x: layer["config"].__setitem__("kernel_initializer", x),
    "a regularizer": lambda layer, x: layer["config"].__setitem__("kernel_regularizer", x),
    "a constraint": lambda layer, x: layer["config"].__setitem__("bias_constraint", x),
    "a policy of types": lambda layer, x: layer["config"].__setitem__("dtype", x),
    "what it is built with": lambda layer, x: layer.__setitem__("build_config", {"x": [x]}),
    "an argument of a call": lambda layer, x: layer["inbound_nodes"].append({"args": [x]}),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_class_hidden_inside_a_layer_is_refused(good, tmp_path, canary, place):
    def hide(config):
        layers = config["config"]["layers"]
        dense = next(layer for layer in layers if layer["class_name"] == "Dense")
        PLACES[place](dense, named("builtins", "eval", TOUCH))

    refused(with_config(good, hide), tmp_path, canary, "class 'eval' of module 'builtins'")


def test_other_code_under_the_registered_name_of_our_layer_is_refused(good, tmp_path, canary):
    hostile = named("os", "system", {"command": "touch $CANARY"}, "tauopt>Preprocess")
    data = with_config(good, lambda config: config["config"]["layers"].append(hostile))
    refused(data, tmp_path, canary, "model ")


@pytest.mark.parametrize("wrapper", ["TimeDistributed", "Bidirectional", "Sequential"])
def test_a_class_inside_a_wrapper_is_refused(good, tmp_path, canary, wrapper):
    inner = named("builtins", "exec", TOUCH)
    module = "keras" if wrapper == "Sequential" else "keras.layers"
    outer = named(module, wrapper, {"layer": inner, "layers": [inner]})
    data = with_config(good, lambda config: config["config"]["layers"].append(outer))
    refused(data, tmp_path, canary, "class 'exec'")


def test_a_class_named_as_the_loss_of_a_compiled_model_is_refused(good, tmp_path, canary):
    hostile = {"loss": named("builtins", "eval", TOUCH), "optimizer": "adam"}
    data = with_config(good, lambda config: config.__setitem__("compile_config", hostile))
    refused(data, tmp_path, canary, "class 'eval'")


# The archive itself.


def bomb(good):
    parts = members(good) | {WEIGHTS: bytes(50_000_000)}
    return packed(parts.items(), method=zipfile.ZIP_DEFLATED)


def absolute(good):
    parts = members(good)
    return packed([("/etc/cron.d/x", parts.pop("metadata.json")), *parts.items()])


def upwards(good):
    return packed([*members(good).items(), ("../../../canary", b"x")])


def twice(good):
    parts = members(good)
    return packed([*parts.items(), ("config.json", b"{}")])


def many(good):
    return packed([*members(good).items(), *((f"m{n}", b"") for n in range(5000))])


def linked(good):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members(good).items():
            info = zipfile.ZipInfo(name)
            if name == WEIGHTS:
                info.external_attr, content = 0o120777 << 16, b"/etc/passwd"
            archive.writestr(info, content)
    return out.getvalue()


def encrypted(good):
    data = bytearray(packed(members(good).items()))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        data[at + place] |= 1
    return bytes(data)


def wrong_sum(good):
    data = bytearray(packed(members(good).items()))
    at = data.find(b'"class_name"')
    data[at + 1] ^= 1
    return bytes(data)


def declared_larger(good):
    data = bytearray(packed(members(good).items()))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


def text_of_twenty_megabytes(good):
    parts = members(good) | {"config.json": b'"' + b"x" * 20_000_000 + b'"'}
    return packed(parts.items())


def deep(good):
    return packed((members(good) | {"config.json": b"[" * 200_000 + b"]" * 200_000}).items())


def not_utf8(good):
    return packed((members(good) | {"config.json": b'{"a": "\xff\xfe"}'}).items())


ARCHIVES = {
    bomb: "is compressed",
    absolute: "expected members",
    upwards: "expected members",
    twice: "expected members",
    many: "expected members",
    linked: "is a link",
    encrypted: "is encrypted",
    wrong_sum: "CRC",
    declared_larger: "compressed|no Keras archive",
    text_of_twenty_megabytes: "has 20,000,002 bytes",
    deep: "no Keras archive|neither",
    not_utf8: "no Keras archive",
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", ARCHIVES, ids=lambda make: make.__name__)
def test_an_archive_that_keras_would_not_write_is_refused(good, tmp_path, canary, make):
    refused(make(good), tmp_path, canary, ARCHIVES[make])


@pytest.mark.parametrize(
    "data", [b"", b"PK\x05\x06", b"\x89HDF\r\n\x1a\n" + bytes(500), b"#!/bin/sh\ntouch $CANARY\n"]
)
def test_a_file_that_is_no_archive_is_refused(tmp_path, canary, data):
    refused(data, tmp_path, canary, "no Keras archive")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "saved.keras").mkdir()
    with pytest.raises(CorruptError, match="directory"):
        load_model(tmp_path / "saved.keras")


# The weights.


def any_dataset(file):
    names = []
    file.visititems(
        lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return names[0]


def external_link(file):
    name = any_dataset(file)
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    file["layers/x"] = h5py.SoftLink("/nowhere")


def external_storage(file):
    name = any_dataset(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, 4 * int(np.prod(shape)))])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", shape=(4,))
    file.create_virtual_dataset("layers/v", layout)


def endless(file):
    file.create_dataset("layers/e", (2**40,), "f4", chunks=(2**20,), fillvalue=1.0)


def never_written(file):
    space = h5py.h5s.create_simple((2**36,))
    h5py.h5d.create(file.id, b"hole", h5py.h5t.NATIVE_FLOAT, space)


def compressed(file):
    file.create_dataset("layers/c", data=np.zeros(10**6, "f4"), compression="gzip")


def text(file):
    file["layers/t"] = "a text"


def references(file):
    file.create_dataset("layers/r", data=np.array([file.ref] * 2, h5py.ref_dtype))


def circle(file):
    file["layers/again"] = file["layers"]


def named_type(file):
    file["layers/type"] = np.dtype("f4")


WEIGHT_FILES = {
    external_link: "link to elsewhere",
    soft_link: "link to elsewhere",
    external_storage: "in another file",
    virtual: "in another file",
    endless: "chunked",
    never_written: "larger than what the file holds",
    compressed: "chunked",
    text: "expected numbers",
    references: "expected numbers",
    circle: "deeper than",
    named_type: "is a Datatype",
}


@pytest.mark.parametrize("write", WEIGHT_FILES, ids=lambda write: write.__name__)
def test_weights_that_are_not_plain_numbers_are_refused(good, tmp_path, canary, write):
    refused(with_weights(good, write), tmp_path, canary, WEIGHT_FILES[write])


def test_there_are_forty_hostile_files_and_more():
    assert len(CLASSES) + len(PLACES) + len(ARCHIVES) + len(WEIGHT_FILES) + 8 >= 60


# The file on disk.


def test_a_file_that_is_exchanged_after_it_was_read_is_not_loaded(
    good, tmp_path, canary, monkeypatch
):
    import hashlib

    from tauopt.models import model_file

    path = tmp_path / "model.keras"
    path.write_bytes(good)
    hostile = with_config(
        good, lambda config: config["config"]["layers"].append(named("os", "system", "touch x"))
    )
    check_data = model_file.check_data

    def swap_then_check(data, **kwargs):
        path.write_bytes(hostile)
        check_data(data, **kwargs)

    monkeypatch.setattr(model_file, "check_data", swap_then_check)
    model = load_model(path, sha256=hashlib.sha256(good).hexdigest())
    assert model.count_params() > 0
    with pytest.raises(CorruptError):
        load_model(path)
    assert not canary.exists()


def test_random_damage_is_refused_or_harmless(good, tmp_path, canary):
    """A file that still loads after a byte was changed holds the same layers, or other numbers."""
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged.keras"
    seen = {"refused": 0, "loaded": 0}
    for _ in range(120):
        data = bytearray(good)
        for at in rng.integers(0, len(data), int(rng.integers(1, 4))):
            data[at] = int(rng.integers(0, 256))
        path.write_bytes(data)
        try:
            load_model(path)
            seen["loaded"] += 1
        except CorruptError:
            seen["refused"] += 1
    assert seen["refused"] > 100, "the checksums of the archive detect nearly all damage"
    assert not canary.exists()


@pytest.mark.parametrize("times", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_damage_with_correct_checksums_is_refused_or_harmless(good, tmp_path, canary, times):
    """An attacker writes the archive anew with correct checksums: only the members are damaged."""
    rng = np.random.default_rng(2)
    path = tmp_path / "damaged.keras"
    for number in range(times):
        parts = members(good)
        name = MEMBERS[number % 3]
        content = bytearray(parts[name])
        for at in rng.integers(0, len(content), 3):
            content[at] = int(rng.integers(0, 256))
        path.write_bytes(packed((parts | {name: bytes(content)}).items()))
        try:
            load_model(path)
        except CorruptError:
            continue
    assert not canary.exists()
    assert not os.path.exists("canary")
    assert zlib.crc32(good)  # the good archive was not changed


@pytest.mark.parametrize("module", ["os", "builtins", "keras.layers", None, 3])
@pytest.mark.parametrize("name", ["__class__", "__loader__", "system"])
def test_attributes_that_every_module_has_are_no_classes_of_keras(module, name):
    assert foreign_classes({"class_name": name, "module": module}) == [(name, module)]
