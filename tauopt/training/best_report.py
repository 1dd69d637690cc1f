"""Which report of a trial is its best one: that whose weights are kept and whose value counts.

The largest of many noisy values is too large. So the best report is chosen by another quantity than
the objective: the validation loss, or the rejection over a band of signal efficiencies, which all
or many candidates decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tauopt.config.settings.objective import ObjectiveName, band_of

Monitor = Literal["loss", "band", "objective"]
BROKEN = "broken_constraints"
"""Name of the metric of a report: the number of constraints that the network breaks."""


def monitored(monitor: Monitor, objective: ObjectiveName) -> str:
    """Return the name of the monitored quantity among the metrics of a report."""
    if monitor == "loss":
        return "val_loss"
    return str(band_of(objective) if monitor == "band" else objective)


def merit(report: Mapping[str, float], monitor: Monitor, objective: ObjectiveName) -> float:
    """Return the monitored quantity of a report; larger is better."""
    value = report[monitored(monitor, objective)]
    return -value if monitor == "loss" else value


def best_report(
    reports: Sequence[Mapping[str, float]], monitor: Monitor, objective: ObjectiveName
) -> int:
    """Return the index of the best of some reports, each a mapping of its metrics.

    One that breaks a constraint is behind all that break none. Of equal ones it is the report with
    the lowest validation loss, then the first.
    """

    def rank(index: int) -> tuple[bool, float, float, int]:
        report = reports[index]
        breaks_none = not report.get(BROKEN, 0)
        return breaks_none, merit(report, monitor, objective), -report["val_loss"], -index

    return max(range(len(reports)), key=rank)
