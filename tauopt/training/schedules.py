"""When training ends early, and when the learning rate falls. States are values, kept as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tauopt.config.experiment import EarlyStopping, ReduceOnPlateau


@dataclass(frozen=True)
class Patience:
    """How long a series has not improved.

    Attributes:
        best: what counts as its best so far; None before the first value.
        waited: reports since then.
    """

    best: float | None = None
    waited: int = 0

    def after(self, value: float, *, min_delta: float = 0.0) -> Patience:
        """Return the state after another value; larger is better.

        Args:
            value: of the new report.
            min_delta: improvement that counts, relative to the best.
        """
        if self.best is None or value > self.best + min_delta * abs(self.best):
            return Patience(value)
        return replace(self, waited=self.waited + 1)


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
