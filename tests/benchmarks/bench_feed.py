"""How fast training is when fed from a prepared dataset, against ready batches in memory.

    python -m tests.benchmarks.bench_feed [cores]

The same batches in the same order, once streamed from disk, once kept as tensors in memory; one
`fit` each in turn. Medians over the turns of the ratio of speeds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tauopt.config.networks import DeepSets, Rnn
from tauopt.dataset.inputs import task_labels
from tauopt.models.build import build_model
from tauopt.stream.batches import batches
from tauopt.stream.feed import feed
from tests.benchmarks.sample import CLASSES, LENGTHS, TASK, spec_of, write_prepared

GROUPS = {name: {"length": length} for name, length in LENGTHS.items()}
NETWORKS = {
    "rnn": Rnn.model_validate({"type": "rnn", "groups": GROUPS}),
    "deepsets": DeepSets.model_validate({"type": "deepsets", "groups": GROUPS}),
}
BATCH_SIZES = (256, 1024)
CANDIDATES = 36_864  # half an epoch of the demo sample
TURNS = 15


def in_memory(fed: tf.data.Dataset) -> tf.data.Dataset:
    """Keep the batches as tensors; the fastest that can be given to `fit`."""
    ready = fed.cache()
    for _ in ready:
        pass
    options = tf.data.Options()
    options.autotune.enabled = False
    return ready.prefetch(4).with_options(options)


def timed_fit(model: keras.Model, data: tf.data.Dataset) -> tuple[float, float]:
    """Return seconds of processor time and of the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    model.fit(data, epochs=1, verbose=0)
    return time.process_time() - processor, time.perf_counter() - clock


def main() -> None:
    warnings.filterwarnings("ignore", module="keras")
    cores = sorted(os.sched_getaffinity(0))[: int(sys.argv[1]) if len(sys.argv) > 1 else None]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_prepared(Path(scratch), chunks=2)
        spec, labels = spec_of(dataset), task_labels(CLASSES, TASK)
        print(f"{len(cores)} cores; streamed / in memory by the clock (by processor time)")
        for name, network in NETWORKS.items():
            for batch_size in BATCH_SIZES:
                model = build_model(spec, network, seed=1)
                model.compile("adam", "categorical_crossentropy")

                def make(size: int = batch_size, stop: int = CANDIDATES):
                    return batches(
                        dataset.train,
                        spec=spec, label_map=labels, batch_size=size,
                        seed=1, epoch=0, stop=stop, joined=True,
                    )  # fmt: skip

                steps = CANDIDATES // batch_size
                fed = feed(make, spec=spec, batch_size=batch_size, steps=steps)
                ready = in_memory(fed)
                for data in (fed, ready):
                    timed_fit(model, data)
                times = np.array(
                    [[timed_fit(model, data) for data in (fed, ready)] for _ in range(TURNS)]
                )
                ratio = np.median(times[:, 1] / times[:, 0], axis=0)
                speed = CANDIDATES / np.median(times[:, :, 1], axis=0) / 1e3
                print(
                    f"{name:8s} batch {batch_size:4d}: {speed[0]:.1f} against {speed[1]:.1f} "
                    f"thousand candidates/s, ratio {ratio[1]:.3f} ({ratio[0]:.3f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
