"""Manifest and task -> what a network needs: input spec, label map, class weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from tauopt.config.settings.experiment import Task
from tauopt.config.settings.inputs import InputSpec
from tauopt.dataset.manifest import SPLITS, Manifest, SplitName
from tauopt.errors import DataError, nearest

LEFT_OUT = -1
"""Task label of a candidate whose class is in no task class."""


def task_labels(classes: Sequence[str], task: Task) -> npt.NDArray[np.int16]:
    """Map the dataset's classes to task classes.

    Returns:
        (class) int16, index of the task class, or -1 where the task leaves a class out.
    Raises:
        DataError: the task names a class that the dataset lacks, or names one twice.
    """
    labels = np.full(len(classes), LEFT_OUT, np.int16)
    for index, (name, members) in enumerate(task.classes.items()):
        for member in members:
            if member not in classes:
                raise DataError(
                    f"task class {name!r}: the dataset has no class {member!r}"
                    f"{nearest(member, classes)}; it has {', '.join(classes)}"
                )
            position = list(classes).index(member)
            if labels[position] != LEFT_OUT:
                raise DataError(f"class {member!r} is in two task classes, expected at most one")
            labels[position] = index
    return labels


def input_spec(manifest: Manifest, task: Task, lengths: Mapping[str, int]) -> InputSpec:
    """Return the input spec of a network on a prepared dataset.

    Args:
        manifest: of the prepared dataset.
        task: the classes to separate.
        lengths: group -> objects kept a candidate; its keys select the groups.
    Raises:
        DataError: the dataset lacks a group or a class; suggests the nearest name.
    """
    known = [group.name for group in manifest.groups]
    for name in lengths:
        if name not in known:
            raise DataError(
                f"the model uses group {name!r}, which the dataset lacks{nearest(name, known)}; "
                f"it has {', '.join(known) or 'none'}"
            )
    task_labels(manifest.classes, task)  # raises where the dataset lacks a class
    return InputSpec(
        candidate=manifest.candidate,
        groups=tuple(manifest.group(name) for name in lengths),
        lengths=dict(lengths),
        classes=tuple(task.classes),
        signal=task.signal,
        heads=task.heads,
    )


def check_task(manifest: Manifest, task: Task) -> None:
    """Check before any training that a network can be trained and evaluated on the task.

    Raises:
        DataError: see `task_faults`.
    """
    for fault in task_faults(manifest, task).values():
        raise DataError(fault)


def task_faults(manifest: Manifest, task: Task) -> dict[str, str]:
    """Return the task classes that can't be trained or evaluated on, and why.

    Such a class has no candidates in one of the splits, or no positive sum of weights in the
    training split.
    """
    counts = {split: _totals(manifest, task, split)[0] for split in SPLITS}
    _, weights = _totals(manifest, task, "train")
    faults: dict[str, str] = {}
    for index, name in enumerate(task.classes):
        if empty := [split for split in SPLITS if not counts[split][index]]:
            faults[name] = _without_candidates(empty, name, manifest, task)
        elif weights[index] <= 0:
            faults[name] = (
                f"the sum of weights of task class {name!r} in the training split is "
                f"{weights[index]:.6g}, expected more than 0"
            )
    return faults


def _without_candidates(
    splits: Sequence[SplitName], name: str, manifest: Manifest, task: Task
) -> str:
    held = [
        f"{known} {count:,}" for known, count in manifest.splits[splits[0]].counts.items() if count
    ]
    names = ["training" if split == "train" else split for split in splits]
    several = len(names) > 1
    return (
        f"the {' and '.join(names)} {'splits hold' if several else 'split holds'} no candidate of "
        f"task class {name!r} (task.classes: {', '.join(task.classes[name])}); "
        f"{f'the {names[0]} split' if several else 'it'} holds {', '.join(held) or 'none at all'}"
    )


def class_weights(
    manifest: Manifest,
    task: Task,
    balance: Literal["equal", "signal", "none"],
    *,
    factors: Mapping[str, float] = MappingProxyType({}),
) -> npt.NDArray[np.float32]:
    """Return the factor on the weights of each task class in the loss.

    Args:
        manifest: of the prepared dataset.
        task: its classes and signal.
        balance: `equal` gives each task class the same sum of weights in the training split;
            `signal` gives all signal the sum of all background, and classes keep their proportions
            within; `none` gives equal factors.
        factors: task class -> further factor, on top of the balance.
    Returns:
        (task class) float32. In all cases the mean weight of a training candidate becomes 1, so
        that a learning rate means the same whatever the normalisation of the physics weights.
    Raises:
        DataError: see `check_task`, or a key of `factors` is no task class.
    """
    check_task(manifest, task)
    for name in factors:
        if name not in task.classes:
            raise DataError(f"class weights: no task class {name!r}{nearest(name, task.classes)}")
    counts, weights = _totals(manifest, task, "train")
    is_signal = np.array([name in task.signal for name in task.classes])
    divisors = {
        "equal": weights,
        "signal": np.where(is_signal, weights[is_signal].sum(), weights[~is_signal].sum()),
        "none": np.ones(len(weights)),
    }[balance]
    balanced = np.array([factors.get(name, 1.0) for name in task.classes]) / divisors
    return np.asarray(balanced * counts.sum() / (balanced * weights).sum(), np.float32)


def _totals(
    manifest: Manifest, task: Task, split: SplitName
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return candidates and sums of weights of a split, each (task class)."""
    labels = task_labels(manifest.classes, task)
    info = manifest.splits[split]
    totals = np.zeros((2, len(task.classes)))
    for name, label in zip(manifest.classes, labels, strict=True):
        if label != LEFT_OUT:
            totals[:, label] += info.counts[name], info.weights[name]
    return totals[0], totals[1]
