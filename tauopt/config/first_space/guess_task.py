"""Guess of the classification task: task classes and signal, from the names of the classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import UsageError

TAU = "tau"
"""The task class that all classes of signal are merged into."""
_FAKES = {"jet", "fake", "background", "bkg", "qcd", "dijet", "quark", "gluon"}
_LEPTONS = {"e", "el", "ele", "electron", "mu", "muon"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class FirstTask:
    """A guessed classification task."""

    classes: dict[str, tuple[str, ...]]
    """Task class -> the dataset's classes in it."""
    signal: tuple[str, ...]
    """Task classes that are signal; empty if there is no background."""
    note: str = ""
    """Remark on the guess, for the user."""


def guess_task(dataset: Dataset, *, decay_modes: bool) -> FirstTask:
    """Guess the task from the classes' names: jets and leptons are background, all else is tau.

    Args:
        dataset: its classes; those that no sample holds are left out.
        decay_modes: if there are several classes of signal, separate these, without background.
    Raises:
        UsageError: the samples hold fewer than two classes.
    """
    held = {name for sample in dataset.samples.values() for name in sample.classes}
    classes = [name for name in dataset.classes if name in held]
    if len(classes) < 2:
        raise UsageError(
            f"expected a dataset with at least two classes to separate; its samples hold "
            f"{', '.join(classes) or 'none'}"
        )
    background = [name for name in classes if is_background(name)]
    signal = [name for name in classes if name not in background]
    if decay_modes and len(signal) > 1:
        left_out = f" ({', '.join(background)} left out)" if background else ""
        note = (
            f"True taus alone{left_out}: without background, `signal` is left out and the "
            "objective is accuracy."
        )
        return FirstTask(_separate(signal), (), note)
    if not background or not signal:
        kind = "jets or leptons" if signal else "a tau"
        note = (
            f"No class is named like {kind}, so there is no background: `signal` is left out, and "
            "the objective is accuracy. If some classes are background, name the others in "
            "`signal` and set rejection@0.75."
        )
        return FirstTask(_separate(classes), (), note)
    name = signal[0] if len(signal) == 1 else TAU
    note = "There are no decay modes to separate; the task is tau identification."
    task_classes = {**_separate(background), name: tuple(signal)}
    return FirstTask(task_classes, (name,), note if decay_modes else "")


def is_background(name: str) -> bool:
    """Return whether a class is named like jets or leptons: `jet`, `fake_tau`, `QCDJets`, `mu`."""
    words = {word.lower() for word in _WORD.findall(name)}
    # A lepton counts as a whole name only: `tau_e` and `mu_tau` are decays of taus.
    whole = name.lower().rstrip("s")
    return whole in _LEPTONS or any(word.rstrip("s") in _FAKES for word in words)


def _separate(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return each class as a task class by itself."""
    return {name: (name,) for name in names}
