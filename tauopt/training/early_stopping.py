"""Early stopping, and reduction of the learning rate on a plateau; frozen states, kept as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tauopt.config.settings.experiment import EarlyStopping, ReduceOnPlateau


@dataclass(frozen=True)
class Patience:
    """State of waiting for an improvement of a series of values.

    Attributes:
        best: last value that counted as an improvement; None before the first value.
        waited: number of reports since then.
        loss: validation loss of that report; None if losses don't count.
    """

    best: float | None = None
    waited: int = 0
    loss: float | None = None

    def after(self, value: float, *, min_delta: float = 0.0, loss: float | None = None) -> Patience:
        """Return the state after another value; larger is better.

        Args:
            value: value of the new report.
            min_delta: smallest improvement of value or loss that counts, relative to the best.
            loss: loss on the validation split; None if it does not count.
        """
        if self.best is None or value > self.best + min_delta * abs(self.best):
            return Patience(value, loss=loss)
        # At equal values a lower loss is an improvement: an objective that few candidates decide
        # stays constant while the network learns.
        if value == self.best and is_lower(loss, self.loss, min_delta=min_delta):
            return Patience(value, loss=loss)
        return replace(self, waited=self.waited + 1)


def is_lower(loss: float | None, before: float | None, *, min_delta: float = 0.0) -> bool:
    """Return whether a loss is below an earlier one by more than the fraction `min_delta` of it.

    False if either is unknown.
    """
    return loss is not None and before is not None and loss < before - min_delta * abs(before)


def stops(settings: EarlyStopping | None, patience: Patience) -> bool:
    """Return whether training stops early: nothing has improved for too many reports."""
    return settings is not None and patience.waited >= settings.patience


def on_plateau(
    settings: ReduceOnPlateau | None, plateau: Patience, value: float
) -> tuple[Patience, float]:
    """Return the state after a report, and the factor on the learning rate; larger is better.

    Like Keras's ReduceLROnPlateau with `min_delta=0` (its default ignores improvements below 1e-4),
    but with a state that a checkpoint keeps, so that a resumed training goes on waiting.
    """
    if settings is None:
        return plateau, 1.0
    plateau = plateau.after(value)
    if plateau.waited < settings.patience:
        return plateau, 1.0
    return replace(plateau, waited=0), settings.factor
