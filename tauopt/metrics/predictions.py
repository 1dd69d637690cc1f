"""Class probabilities of a network on a split, with truth, weights and spectators."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tauopt.durable import write_with
from tauopt.errors import CorruptError, DataError
from tauopt.metrics.roc import Roc, roc

_COLUMN = "column:"


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of N candidates with their truth.

    Attributes:
        probabilities: (N, class) float32.
        labels: (N,) integer, index of the true class.
        weights: (N,) float64; may be negative.
        classes: names, in the order of the last axis of `probabilities`.
        signal: those of `classes` that are signal.
        columns: spectators by name, each (N,): `prongs`, `pt`, `eta`, `mu`, ...
    Raises:
        DataError: lengths differ, a label has no class, or a signal class is unknown.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.integer]
    weights: NDArray[np.float64]
    classes: tuple[str, ...]
    signal: tuple[str, ...]
    columns: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        candidates = len(self.labels)
        if self.probabilities.shape != (candidates, len(self.classes)):
            raise DataError(
                f"probabilities have shape {self.probabilities.shape}, expected "
                f"{(candidates, len(self.classes))} (candidates, classes {', '.join(self.classes)})"
            )
        for name, values in {"weights": self.weights, **self.columns}.items():
            if values.shape != (candidates,):
                raise DataError(f"{name} has shape {values.shape}, expected {(candidates,)}")
        if candidates and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, "
                f"expected 0 to {len(self.classes) - 1}"
            )
        if unknown := set(self.signal) - set(self.classes):
            raise DataError(
                f"signal classes {sorted(unknown)} are unknown, expected some of {self.classes}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _signal_class(self) -> NDArray[np.bool_]:
        return np.array([name in self.signal for name in self.classes])

    @property
    def has_background(self) -> bool:
        """Whether some class is background; without any there is no score to cut on."""
        return not self._signal_class.all()

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """The probability of being signal, (N,): the sum over the signal classes."""
        total = np.zeros(len(self), dtype=np.float64)
        for index in np.flatnonzero(self._signal_class):
            total += self.probabilities[:, index]
        return total

    @cached_property
    def is_signal(self) -> NDArray[np.bool_]:
        """Which candidates are of a signal class, (N,)."""
        return np.asarray(self._signal_class[self.labels])

    @cached_property
    def roc_curve(self) -> Roc:
        """The weighted ROC curve of the score.

        Raises:
            DataError: see `roc`.
        """
        return roc(self.score, self.is_signal, self.weights)

    @cached_property
    def replicas(self) -> dict[str, NDArray[np.float64]]:
        """Replicas of costly metrics, (replica,) each, by the metric's name; filled on use."""
        return {}

    def where(self, mask: NDArray[np.bool_]) -> Predictions:
        """Return the candidates for which `mask`, (N,) bool, is true."""
        return Predictions(
            self.probabilities[mask],
            self.labels[mask],
            self.weights[mask],
            classes=self.classes,
            signal=self.signal,
            columns={name: values[mask] for name, values in self.columns.items()},
        )

    def with_prongs(self, prongs: int) -> Predictions:
        """Return the candidates with this number of prongs.

        Raises:
            DataError: there is no column `prongs`.
        """
        if "prongs" not in self.columns:
            raise DataError(
                f"selecting {prongs}-prong candidates needs the spectator 'prongs'; "
                f"the dataset has {', '.join(sorted(self.columns)) or 'none'}"
            )
        return self.where(self.columns["prongs"] == prongs)

    def save(self, path: Path) -> None:
        """Write all to an .npz file, atomically."""
        arrays: dict[str, NDArray[np.generic]] = {
            "probabilities": self.probabilities,
            "labels": self.labels,
            "weights": self.weights,
            "classes": np.array(self.classes),
            "signal": np.array(self.signal, dtype=np.str_),
        }
        arrays |= {_COLUMN + name: values for name, values in self.columns.items()}
        write_with(path, lambda temporary: np.savez(temporary, allow_pickle=False, **arrays))

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read predictions that `save` wrote.

        Raises:
            CorruptError: the file is missing, cut short or of another format.
        """
        try:
            # numpy leaves a file open that it opened itself and that is no archive.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return cls(
                arrays["probabilities"],
                arrays["labels"],
                arrays["weights"],
                classes=tuple(arrays["classes"].tolist()),
                signal=tuple(arrays["signal"].tolist()),
                columns={
                    name.removeprefix(_COLUMN): values
                    for name, values in arrays.items()
                    if name.startswith(_COLUMN)
                },
            )
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptError(f"{path} does not hold predictions: {error}") from error
