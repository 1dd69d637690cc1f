"""The model card: the description of a registered model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tauopt.config.settings.experiment import Task
from tauopt.config.settings.working_point_settings import EVERY
from tauopt.evaluation.model_working_points import ModelWorkingPoints
from tauopt.evaluation.predict import ModelInputs
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import weights_of
from tauopt.metrics.estimate import shown
from tauopt.metrics.working_points.closure import Closure, ProngClosure
from tauopt.metrics.working_points.working_point import WorkingPoint
from tauopt.metrics.working_points.working_point_set import FILE, WorkingPoints
from tauopt.promotion.verdict import Verdict


def model_card(
    trial: Trial, inputs: ModelInputs, verdict: Verdict, *, points: ModelWorkingPoints
) -> str:
    """Write the card of a judged trial: task, data, numbers with errors, verdict, use, limits."""
    task = inputs.task
    background = ", ".join(task.background) or "none"
    features = "\n".join(
        f"- `{group}`: {_shape(group, inputs)}: {', '.join(names)}"
        for group, names in inputs.features.items()
    )
    weights = weights_of(trial.experiment.data)
    return f"""# {verdict.model}

Tau classifier of type `{trial.experiment.model.type}`, {trial.result.get("parameters", "?")} \
parameters, from run `{trial.name}` ({trial.run_id}).

## Task
Signal: {", ".join(task.signal)}. Background: {background}.
Outputs: `probabilities`, one per class, in the order {", ".join(task.classes)}{_scores(task)}.

## Data
Prepared dataset `{verdict.dataset}` (digest `{verdict.dataset_digest[:16]}`): trained on its \
training split, chosen on its validation split, judged on its test split \
({verdict.candidates["signal"]:,} signal, {verdict.candidates["background"]:,} background \
candidates), which no search sees. Splits are by event number.

## Numbers on the test split
{weights[:1].upper() + weights[1:]}; 68 % statistical errors.

{_metrics_table(verdict)}

{verdict.latency_sentence}

{_working_points(points)}

## Verdict
{verdict.outcome}: {verdict.reason}.{" Promoted by force." if verdict.forced else ""}
The reloaded model gives {verdict.objective} = {verdict.validation["found"]:.6g} on the validation \
split; the trial recorded {verdict.validation["recorded"]:.6g}. {verdict.splits_sentence}.

{_gate_table(verdict)}

## Inputs
Physical values in the dataset's units; logarithms, clipping and scaling are inside the model. \
Objects are in the dataset's order and padded with zeros; `<group>_mask` is True for real ones.

{features}

## How to use
```python
from tauopt.models.model_file import load_model
model = load_model("model.keras", sha256="{verdict.model_sha256}")
outputs = model(inputs)  # a dict of arrays, named as above
probabilities = outputs["probabilities"]
```
Or `mlflow.pyfunc.load_model("models:/{verdict.model}@champion").predict(inputs)`.

## Limits
Errors are statistical only. The numbers hold for the simulation, selection and weights of this \
dataset; on data, or outside its range of momentum and pile-up, they have to be measured again. \
The score is not calibrated as a probability, and one cut on it is not flat in momentum or pile-up.
"""


def _scores(task: Task) -> str:
    """Describe the outputs beside probabilities; see `tauopt.models.output_scores`."""
    if not task.background:
        return ""
    outputs = ["; `signal_score`, the sum over the signal classes"]
    modes = [name for name in task.classes if name in task.signal]
    if len(modes) > 1:
        outputs.append(f"`mode_scores`, P(class | signal) of {', '.join(modes)}")
    if len(task.background) > 1:
        names = ", ".join(f"`against_{name}`" for name in task.background)
        outputs.append(f"{names}, signal / (signal + that class)")
    return "; ".join(outputs)


def _shape(group: str, inputs: ModelInputs) -> str:
    features = len(inputs.features[group])
    if group not in inputs.lengths:
        return f"(N, {features}) float32"
    return f"(N, {inputs.lengths[group]}, {features}) float32"


def _metrics_table(verdict: Verdict) -> str:
    head = ["metric", "this model"]
    rows = [[name, shown(triple)] for name, triple in verdict.test.items()]
    if verdict.champion_test:
        head.append(f"champion (version {verdict.champion['version']})")
        for row in rows:
            other = verdict.champion_test.get(row[0])
            row.append(shown(other) if other else "")
    return _table(head, rows)


def _gate_table(verdict: Verdict) -> str:
    if not verdict.checks:
        return ""
    head = ["check", "this model", "champion", "change", "p", "asked", "passed"]
    return _table(head, [check.row for check in verdict.checks])


def _working_points(model_points: ModelWorkingPoints) -> str:
    """Return the section on working points; empty for a task without background."""
    points = model_points.points
    if points is None:
        return f"## Working points\nNone: {model_points.reason}." if model_points.reason else ""
    flat = " and ".join(next(iter(points.maps.values())).axes)
    notes = "".join(f"\n- {note}" for note in points.notes)
    return f"""\
## Working points
Cuts derived on the validation split for each number of prongs\
{f", flat in {flat}" if flat else ""}; measured on the test split. `{FILE}` beside the model holds \
them. The flattened score is the signal efficiency at which a candidate would just pass: it is \
uniform in [0, 1] for true taus, lowest for the most tau-like, and a candidate passes the working \
point of efficiency e if its flattened score is at most e. p is the p-value of the efficiencies on \
the test split against those wanted, with the errors of both splits.

{_working_points_table(points, model_points.closures)}
{notes}"""


def _working_points_table(points: WorkingPoints, closures: Mapping[str, ProngClosure]) -> str:
    variables = list(dict.fromkeys(axis.name for part in closures.values() for axis in part.axes))
    head = ["working point", "prongs", "cut on", "cuts", "wanted", "signal efficiency",
            "background rejection", "p", *(f"p in {name}" for name in variables)]  # fmt: skip
    rows = []
    for point in points.points:
        for prongs, part in closures.items():
            if point.name in part.whole:
                bins = [part.bins.get(name, {}).get(point.name) for name in variables]
                p_values = [f"{closure.p_value:.2g}" if closure else "" for closure in bins]
                whole = part.whole[point.name]
                rows.append([*_working_point_row(points, point, prongs, whole), *p_values])
    return _table(head, rows)


def _working_point_row(
    points: WorkingPoints, point: WorkingPoint, prongs: str, closure: Closure
) -> list[str]:
    required = f" after {', '.join(point.requires)}" if point.requires else ""
    return [
        point.name,
        "all" if prongs == EVERY else prongs.removesuffix("p"),
        f"`{point.score}`{required}",
        _cut_range(points, point, prongs, closure.wanted),
        f"{closure.wanted:.4g}",
        str(closure.efficiency[0] or ""),
        str(closure.rejection[0] or ""),
        f"{closure.p_value:.2g}",
    ]


def _cut_range(points: WorkingPoints, point: WorkingPoint, prongs: str, efficiency: float) -> str:
    """Return the least and the largest cut on the score over the cells of the map."""
    cut_map = points.maps[point.key]
    if prongs not in cut_map.grids:
        return ""
    cells = cut_map.grids[prongs].cuts.reshape(len(cut_map.nodes), -1)
    cuts = [float(np.interp(efficiency, cut_map.nodes, cell)) for cell in cells.T]
    low, high = min(cuts), max(cuts)
    return f"{low:.4f}" if len(cuts) == 1 else f"{low:.4f} to {high:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join([first, "|" + "---|" * len(head), *others])
