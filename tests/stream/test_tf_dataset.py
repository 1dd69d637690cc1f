from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tauopt.config.settings.experiment import Task
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import CorruptError
from tauopt.stream.batches import batches
from tauopt.stream.tf_dataset import feed
from tests.prepared_factory import CLASSES, prepared_dataset

TASK = Task(classes={"jet": ("jet",), "tau": CLASSES[1:4]}, signal=("tau",))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(prepared_dataset(tmp_path_factory.mktemp("prepared"), candidates=900))


@pytest.fixture(scope="module")
def spec(dataset):
    return input_spec(dataset.manifest, TASK, {"tracks": 3})


def make(dataset, spec, epochs=(0,), **changes):
    """Return a function that gives the batches of some epochs, one after another."""
    arguments = {
        "batch_size": 64, "seed": 1, "label_map": task_labels(CLASSES, TASK), "joined": True,
    } | changes  # fmt: skip
    return lambda: (
        batch
        for epoch in epochs
        for batch in batches(dataset.train, spec=spec, epoch=epoch, **arguments)
    )


@pytest.mark.parametrize("block", [1, 200, 100_000])
@pytest.mark.parametrize("batch_size", [1, 64, 5000])
def test_fed_batches_are_those_made_whatever_the_block(
    dataset, spec, block, batch_size, monkeypatch
):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", block)
    # Two epochs, so that a short batch stands between whole ones; one candidate a batch is slow.
    stop = 20 if batch_size == 1 else None
    arguments = {"batch_size": batch_size, "stop": stop}
    made = make(dataset, spec, (0, 1), **arguments, joined=False)
    factors = np.array([2, 3], np.float32)
    with feed(
        make(dataset, spec, (0, 1), **arguments),
        spec=spec, batch_size=batch_size, steps=len(list(made())), class_weights=factors,
    ) as fed_dataset:  # fmt: skip
        fed = list(fed_dataset.as_numpy_iterator())
    for batch, (inputs, labels, weights) in zip(made(), fed, strict=True):
        assert inputs.keys() == batch.inputs.keys()
        for name, array in inputs.items():
            np.testing.assert_array_equal(array, batch.inputs[name])
        np.testing.assert_array_equal(labels, np.eye(2)[batch.labels])
        np.testing.assert_allclose(weights, batch.weights * factors[batch.labels])
        assert labels.dtype == weights.dtype == np.float32


def aliases(array):
    """Return functions that read an array, each of which holds it in another way."""
    memory, alias, view = memoryview(array), np.from_dlpack(array), array[:, ::-1][:, ::-1]
    pointer = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))  # keeps the array
    raw, base = (ctypes.c_float * array.size).from_address(array.ctypes.data), array.base
    shape = array.shape
    return [
        lambda: view,
        lambda: alias,
        lambda: np.asarray(memory),
        lambda: np.ctypeslib.as_array(pointer, shape),
        lambda: (np.frombuffer(raw, np.float32).reshape(shape), base)[0],  # the base is all it has
    ]


@pytest.mark.parametrize("readers", [1, 3])
def test_batches_are_never_overwritten_however_arrays_are_held(dataset, spec, readers, monkeypatch):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 128)
    held = []
    for block in make(dataset, spec, range(20), readers=readers)():
        for array in block.inputs.values():
            if array.dtype == np.float32:
                held += [(read, array.copy()) for read in aliases(array)]
        del block, array
    gc.collect()
    for read, copy in held:
        np.testing.assert_array_equal(read(), copy)


@pytest.mark.parametrize("readers", [1, 3])
def test_batches_are_never_overwritten_however_tensors_are_held(
    dataset, spec, readers, monkeypatch
):
    """TensorFlow uses the memory that numpy filled."""
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 128)
    epochs = range(20)
    copies = [
        {name: array.copy() for name, array in batch.inputs.items()}
        for batch in make(dataset, spec, epochs, joined=False)()
    ]
    made = make(dataset, spec, epochs, readers=readers)
    tensors, packed, views = [], [], []
    with feed(made, spec=spec, batch_size=64, steps=len(copies)) as fed:
        for inputs, _, _ in fed:
            tensors.append(inputs)
            packed.append(tf.experimental.dlpack.to_dlpack(tf.identity(inputs["tracks"])))
            views.append(np.asarray(memoryview(inputs["candidate"])))
    for inputs, capsule, view, copy in zip(tensors, packed, views, copies, strict=True):
        for name, array in copy.items():
            np.testing.assert_array_equal(inputs[name].numpy(), array)
        unpacked = tf.experimental.dlpack.from_dlpack(capsule)
        np.testing.assert_array_equal(unpacked.numpy(), copy["tracks"])
        np.testing.assert_array_equal(view, copy["candidate"])


def test_tensorflow_uses_the_memory_of_numpy_without_a_copy_and_keeps_it(dataset, spec):
    """It would copy arrays with a smaller alignment: a block would cost its memory twice."""
    block = next(make(dataset, spec)())
    array = block.inputs["tracks"]
    place, copy, alive = array.ctypes.data, array.copy(), weakref.ref(array.base)
    given = [array]
    brought = tf.data.Dataset.range(1).map(lambda _: tf.numpy_function(given.pop, [], tf.float32))
    (tensor,) = brought
    assert np.asarray(memoryview(tensor)).ctypes.data == place
    del block, array
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(tensor.numpy(), copy)


def fed_epoch(dataset, spec):
    steps = len(list(make(dataset, spec, joined=False)()))
    return feed(make(dataset, spec), spec=spec, batch_size=64, steps=steps)


def test_each_iteration_begins_anew(dataset, spec):
    with fed_epoch(dataset, spec) as fed:
        first, second = ([weights for _, _, weights in fed.as_numpy_iterator()] for _ in range(2))
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)


def test_short_last_batch_traces_no_graph_anew(dataset, spec):
    in_graph = []

    @tf.function
    def loop(fed):
        for _, labels, _ in fed:
            in_graph.append(labels.shape.as_list())

    with fed_epoch(dataset, spec) as fed:
        loop(fed)
    assert in_graph == [[None, 2]]


def test_autotune_is_off_since_it_stalls_at_the_end_of_each_iterator(dataset, spec):
    with fed_epoch(dataset, spec) as fed:
        assert fed.options().autotune.enabled is False


def test_number_of_steps_is_known_and_kept(dataset, spec):
    made = make(dataset, spec)
    steps = sum(-(-len(block.labels) // 64) for block in made())
    with fed_epoch(dataset, spec) as fed:
        assert fed.cardinality() == steps
    with feed(made, spec=spec, batch_size=64, steps=2) as fed:
        assert len(list(fed)) == 2
    with (
        feed(made, spec=spec, batch_size=64, steps=steps + 1) as fed,
        pytest.raises(tf.errors.OpError, match="fewer batches were made"),
    ):
        list(fed)


def test_two_iterations_at_once_are_an_error_and_never_mixed(dataset, spec, monkeypatch):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 1)
    made = make(dataset, spec, batch_size=1)
    with feed(made, spec=spec, batch_size=1, steps=100) as fed:
        first = iter(fed)
        next(first)
        second = iter(fed)
        next(second)
        with pytest.raises(tf.errors.OpError, match="one iteration at a time"):
            list(zip(first, second, strict=True))


@pytest.mark.parametrize("raises", [False, True])
def test_after_its_block_a_feed_holds_neither_data_nor_threads(dataset, spec, raises, monkeypatch):
    monkeypatch.setattr("tauopt.stream.batches.BLOCK", 64)
    made = make(dataset, spec, range(20), readers=3)
    alive = weakref.ref(made)
    with (
        contextlib.suppress(KeyError),
        feed(made, spec=spec, batch_size=64, steps=100) as fed,
    ):
        begun = iter(fed)
        next(begun)
        assert [t for t in threading.enumerate() if t.name.startswith("tauopt-reader")]
        if raises:
            raise KeyError
    del made
    gc.collect()
    assert alive() is None
    assert not [t for t in threading.enumerate() if t.name.startswith("tauopt-reader")]
    with pytest.raises(tf.errors.OpError, match="iterated after the block"):
        list(begun)
    with pytest.raises(tf.errors.OpError, match="iterated after the block"):
        list(fed)


def test_an_exception_while_reading_ends_the_block_as_it_is(spec):
    def broken():
        raise CorruptError("train-00000/labels.npy: is damaged")
        yield

    with (
        pytest.raises(CorruptError, match=r"^train-00000/labels\.npy: is damaged$"),
        feed(broken, spec=spec, batch_size=64, steps=1) as fed,
    ):
        list(fed)


def test_keras_trains_on_it(dataset, spec):
    import keras

    inputs = {
        "candidate": keras.Input((7,), name="candidate"),
        "tracks": keras.Input((3, 5), name="tracks"),
        "tracks_mask": keras.Input((3,), dtype="bool", name="tracks_mask"),
    }
    hidden = keras.layers.Rescaling(1e-5)(inputs["candidate"])
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    model.compile("sgd", "categorical_crossentropy")
    with fed_epoch(dataset, spec) as fed:
        history = model.fit(fed, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"][0])
