"""When training ends early, and when the learning rate falls. States are values, kept as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tauopt.config.settings.experiment import EarlyStopping, ReduceOnPlateau


@dataclass(frozen=True)
class Patience:
    """How long a series has not improved.

    Attributes:
        best: what counts as its best so far; None before the first value.
        waited: reports since then.
        loss: where it was best; None if losses don't count.
    """

    best: float | None = None
    waited: int = 0
    loss: float | None = None

    def after(self, value: float, *, min_delta: float = 0.0, loss: float | None = None) -> Patience:
        """Return the state after another value; larger is better.

        Args:
            value: of the new report.
            min_delta: improvement that counts, relative to the best, of value or loss.
            loss: on the validation split. Of equal values one with a lower loss is progress: few
                candidates decide an objective, which then stands still while the network learns.
        """
        if self.best is None or value > self.best + min_delta * abs(self.best):
            return Patience(value, loss=loss)
        if value == self.best and is_lower(loss, self.loss, min_delta=min_delta):
            return Patience(value, loss=loss)
        return replace(self, waited=self.waited + 1)


def is_lower(loss: float | None, before: float | None, *, min_delta: float = 0.0) -> bool:
    """Tell whether a loss is lower than one before by more than a fraction of that.

    It is not if either is unknown.
    """
    return loss is not None and before is not None and loss < before - min_delta * abs(before)


def stops(settings: EarlyStopping | None, objective: Patience) -> bool:
    """Tell whether training ends, having waited for the objective for too long."""
    return settings is not None and objective.waited >= settings.patience


def on_plateau(
    settings: ReduceOnPlateau | None, plateau: Patience, val_loss: float
) -> tuple[Patience, float]:
    """Return the state after a report, and the factor on the learning rate.

    As Keras's ReduceLROnPlateau with `min_delta=0` does (by default it overlooks improvements
    below 1e-4), but with its state in our hands, so that a resumed training goes on waiting where
    it was.
    """
    if settings is None:
        return plateau, 1.0
    plateau = plateau.after(-val_loss)
    if plateau.waited < settings.patience:
        return plateau, 1.0
    return replace(plateau, waited=0), settings.factor
