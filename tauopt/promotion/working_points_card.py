"""What a model card tells of working points: cuts, efficiencies, rejections, closure."""

from __future__ import annotations

import numpy as np

from tauopt.config.settings.working_point_settings import EVERY
from tauopt.evaluation.model_working_points import ModelWorkingPoints
from tauopt.metrics.working_points.closure import Closure, ProngClosure
from tauopt.metrics.working_points.working_point import WorkingPoint
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints


def working_points_section(shipped: ModelWorkingPoints) -> str:
    """Return the section `Working points` of a model card; empty for a task without background."""
    if shipped.points is None:
        return f"## Working points\nNone: {shipped.reason}." if shipped.reason else ""
    points = shipped.points
    cuts = next(iter(points.maps.values()))
    flat = " and ".join(cuts.axes)
    notes = "".join(f"\n- {note}" for note in points.notes)
    return f"""\
## Working points
Cuts derived on the validation split for each number of prongs\
{f", flat in {flat}" if flat else ""}; measured on the test split. `{FILE}` beside the model holds \
them. The flattened score is the signal efficiency at which a candidate would just pass: it is \
uniform in [0, 1] for true taus, lowest for the most tau-like, and a working point of efficiency e \
passes what has at most e. p is the chance of scatter as large if efficiencies are what they \
should be, with the errors of both splits.

{_table(points, shipped)}
{notes}"""


def _table(points: WorkingPoints, shipped: ModelWorkingPoints) -> str:
    variables = list(dict.fromkeys(a.name for p in shipped.closures.values() for a in p.axes))
    head = ["working point", "prongs", "cut on", "cuts", "wanted", "signal efficiency",
            "background rejection", "p", *(f"p in {name}" for name in variables)]  # fmt: skip
    rows = [head]
    for point in points.points:
        for prongs, part in shipped.closures.items():
            if point.name in part.whole:
                row = _row(points, point, prongs, part)
                rows.append([*row, *(_chance(part, name, point.name) for name in variables)])
    first, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([first, "|" + "---|" * len(head), *others])


def _row(points: WorkingPoints, point: WorkingPoint, prongs: str, part: ProngClosure) -> list[str]:
    one = part.whole[point.name]
    required = f" after {', '.join(point.requires)}" if point.requires else ""
    return [
        point.name,
        "all" if prongs == EVERY else prongs.removesuffix("p"),
        f"`{point.score}`{required}",
        _cuts(points, point, prongs, one),
        f"{one.wanted:.4g}",
        str(one.efficiency[0] or ""),
        str(one.rejection[0] or ""),
        f"{one.p_value:.2g}",
    ]


def _cuts(points: WorkingPoints, point: WorkingPoint, prongs: str, one: Closure) -> str:
    """Return the least and the largest cut on the score over the cells of the map."""
    cuts = points.maps[point.key]
    if prongs not in cuts.grids:
        return ""
    cells = cuts.grids[prongs].cuts.reshape(len(cuts.nodes), -1)
    found = [float(np.interp(one.wanted, cuts.nodes, cell)) for cell in cells.T]
    low, high = min(found), max(found)
    return f"{low:.4f}" if len(found) == 1 else f"{low:.4f} to {high:.4f}"


def _chance(part: ProngClosure, variable: str, name: str) -> str:
    found = part.bins.get(variable, {}).get(name)
    return "" if found is None else f"{found.p_value:.2g}"
