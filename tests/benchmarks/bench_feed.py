"""How fast training is when fed from a prepared dataset, against data in memory.

    python -m tests.benchmarks.bench_feed [cores] [network ...]

Networks by the `type` of their settings, each with its defaults; without any, the two fastest of
those with objects, of which feeding asks most. The same candidates three times: streamed from
disk; as ready batches, kept as tensors; and as whole arrays that Keras shuffles and cuts into
batches itself. One `fit` each in turn, of an epoch of the demo sample or two seconds. Medians over
the turns of the ratios of speeds; the aim is 0.8 or more of arrays in memory.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import TypeAdapter

from tauopt.config.settings.networks import Network, group_lengths
from tauopt.config.settings.settings_schema import by_type
from tauopt.dataset.network_inputs import task_labels
from tauopt.dataset.prepared_dataset import PreparedDataset
from tauopt.models.build_model import build_model
from tauopt.stream.batches import batches
from tauopt.stream.tf_dataset import feed
from tests.benchmarks.sample import CLASSES, LENGTHS, TASK, spec_of, write_prepared

KNOWN = by_type(Network)
"""Type -> settings of every built-in network."""
USUAL = ("rnn", "deepsets")
BATCH_SIZES = (256, 1024)
CANDIDATES = 73_728  # an epoch of the demo sample
SECONDS = 2.0
TURNS = 7


def settings(name: str) -> Any:
    """Return a network's settings: its defaults, on the sample's groups."""
    groups = {group: {"length": length} for group, length in LENGTHS.items()}
    on = {"groups": groups} if "groups" in KNOWN[name].model_fields else {}
    return TypeAdapter(Network).validate_python({"type": name, **on})


class Candidates:
    """The first candidates of an epoch as a network sees them, streamed."""

    def __init__(self, dataset: PreparedDataset, network: Any) -> None:
        self.dataset = dataset
        self.spec = spec_of(dataset, group_lengths(network))

    def fed(self, steps: int, batch_size: int) -> AbstractContextManager[tf.data.Dataset]:
        """Give some batches."""

        def make():
            return batches(
                self.dataset.train,
                spec=self.spec, label_map=task_labels(CLASSES, TASK), batch_size=batch_size,
                seed=1, epoch=0, stop=steps * batch_size, joined=True,
            )  # fmt: skip

        return feed(make, spec=self.spec, batch_size=batch_size, steps=steps)


def in_memory(fed: tf.data.Dataset) -> tf.data.Dataset:
    """Keep the batches as tensors; the fastest that can be given to `fit`."""
    ready = fed.cache()
    for _ in ready:
        pass
    options = tf.data.Options()
    options.autotune.enabled = False
    return ready.prefetch(4).with_options(options)


def as_arrays(fed: tf.data.Dataset) -> tuple[Any, Any, Any]:
    """Return inputs, labels and weights of all batches as arrays."""
    elements = [tf.nest.flatten(element) for element in fed]
    arrays = [
        np.concatenate([part.numpy() for part in parts]) for parts in zip(*elements, strict=True)
    ]
    return tf.nest.pack_sequence_as(fed.element_spec, arrays)


def timed_fit(model: keras.Model, data: Any, batch_size: int) -> float:
    """Return how long a `fit` takes, in seconds."""
    begun = time.perf_counter()
    if isinstance(data, tf.data.Dataset):
        model.fit(data, epochs=1, verbose=0)
    else:
        inputs, labels, weights = data
        model.fit(inputs, labels, sample_weight=weights, batch_size=batch_size, verbose=0)
    return time.perf_counter() - begun


def enough_steps(model: keras.Model, candidates: Candidates, batch_size: int) -> int:
    """Trace the training step, and return how many batches take some seconds."""
    few = max(2048 // batch_size, 2)
    for _ in range(2):
        with candidates.fed(few, batch_size) as fed:
            seconds = timed_fit(model, fed, batch_size)
    return int(np.clip(few * SECONDS / seconds, few, CANDIDATES // batch_size))


def compare(dataset: PreparedDataset, name: str, batch_size: int) -> str:
    """Measure one network at one batch size, and say what was found."""
    network = settings(name)
    candidates = Candidates(dataset, network)
    model = build_model(candidates.spec, network, seed=1)
    model.compile("adam", "categorical_crossentropy")
    steps = enough_steps(model, candidates, batch_size)
    with candidates.fed(steps, batch_size) as fed:
        ways = (fed, in_memory(fed), as_arrays(fed))
        for data in ways:
            timed_fit(model, data, batch_size)
        turns = [[timed_fit(model, data, batch_size) for data in ways] for _ in range(TURNS)]
    times = np.array(turns)
    speeds = steps * batch_size / np.median(times, axis=0) / 1e3
    ratios = np.median(times / times[:, :1], axis=0)
    return (
        f"{name:14s} batch {batch_size:4d}: {speeds[0]:.1f} streamed, {speeds[1]:.1f} ready, "
        f"{speeds[2]:.1f} arrays (thousand candidates/s); "
        f"ratio {ratios[1]:.3f} to ready batches, {ratios[2]:.3f} to arrays"
    )


def main() -> None:
    warnings.filterwarnings("ignore", module="keras")
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), None)
    chosen = [word for word in sys.argv[1:] if not word.isdigit()] or USUAL
    if unknown := [name for name in chosen if name not in KNOWN]:
        sys.exit(f"no {', '.join(unknown)}; there are {', '.join(KNOWN)}")
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_prepared(Path(scratch), chunks=2)
        print(f"{len(cores)} cores")
        for name in chosen:
            for batch_size in BATCH_SIZES:
                print(compare(dataset, name, batch_size), flush=True)


if __name__ == "__main__":
    main()
