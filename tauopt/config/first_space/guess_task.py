"""What a network could tell apart in a dataset, guessed from the names of its classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import UsageError

TAU = "tau"
"""The task class that the classes of signal become together."""
_FAKES = {"jet", "fake", "background", "bkg", "qcd", "dijet", "quark", "gluon"}
_LEPTONS = {"e", "el", "ele", "electron", "mu", "muon"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class FirstTask:
    """Classes to tell apart."""

    classes: dict[str, tuple[str, ...]]
    """Task class -> the dataset's classes in it."""
    signal: tuple[str, ...]
    """Task classes that are signal; none if there is no background."""
    note: str = ""
    """What the user should know of the choice."""


def first_task(dataset: Dataset, *, modes: bool) -> FirstTask:
    """Choose classes by their names: jets and leptons are background, all else is tau.

    Args:
        dataset: classes that none of its samples holds are left out.
        modes: tell the classes of signal apart, without background, if there are several.
    Raises:
        UsageError: there are fewer than two classes.
    """
    held = {name for sample in dataset.samples.values() for name in sample.classes}
    classes = [name for name in dataset.classes if name in held]
    if len(classes) < 2:
        raise UsageError(
            f"expected a dataset of at least two classes to tell apart; its samples hold "
            f"{', '.join(classes)}"
        )
    background = [name for name in classes if is_background(name)]
    signal = [name for name in classes if name not in background]
    if modes and len(signal) > 1:
        return FirstTask(_each(signal), (), _modes_note(background))
    if not background or not signal:
        kind = "jets or leptons" if signal else "a tau"
        note = (
            f"No class is called like {kind}, so none is taken for background: `signal` is left "
            "out, and the objective is accuracy. If some are, name the others in `signal` and take "
            "rejection@0.75."
        )
        return FirstTask(_each(classes), (), note)
    name = signal[0] if len(signal) == 1 else TAU
    note = "There are no decay modes to tell apart; this is the identification." if modes else ""
    return FirstTask({**_each(background), name: tuple(signal)}, (name,), note)


def is_background(name: str) -> bool:
    """Say whether a class is called like jets or leptons: `jet`, `fake_tau`, `QCDJets`, `mu`."""
    words = {word.lower() for word in _WORD.findall(name)}
    whole = name.lower().rstrip("s")
    return whole in _LEPTONS or any(word.rstrip("s") in _FAKES for word in words)


def _each(names: list[str]) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


def _modes_note(background: list[str]) -> str:
    left_out = f" ({', '.join(background)} left out)" if background else ""
    return (
        f"True taus alone{left_out}: without background, `signal` is left out and the objective is "
        "accuracy."
    )
