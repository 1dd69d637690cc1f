"""The model card: what a registered model is, in markdown."""

from __future__ import annotations

from tauopt.config.settings.experiment import Task
from tauopt.evaluation.model_inputs import ModelInputs
from tauopt.evaluation.model_working_points import ModelWorkingPoints
from tauopt.evaluation.recorded_trial import Trial
from tauopt.figures.figure_style import weights_of
from tauopt.metrics.estimate import shown
from tauopt.promotion.verdict import Verdict
from tauopt.promotion.working_points_card import working_points_section


def model_card(
    trial: Trial, what: ModelInputs, verdict: Verdict, *, shipped: ModelWorkingPoints
) -> str:
    """Return the card of a judged trial: what, data, numbers with errors, verdict, use, limits."""
    task = what.task
    background = ", ".join(task.background) or "none"
    inputs = "\n".join(
        f"- `{group}`: {_shape(group, what)}: {', '.join(names)}"
        for group, names in what.features.items()
    )
    return f"""# {verdict.model}

Tau classifier of type `{trial.experiment.model.type}`, {trial.result.get("parameters", "?")} \
parameters, from run `{trial.name}` ({trial.run_id}).

## Task
Signal: {", ".join(task.signal)}. Background: {background}.
Outputs: `probabilities`, one a class, in the order {", ".join(task.classes)}{_scores(task)}.

## Data
Prepared dataset `{verdict.dataset}` (digest `{verdict.dataset_digest[:16]}`): trained on its \
training split, chosen on its validation split, judged on its test split \
({verdict.candidates["signal"]:,} signal, {verdict.candidates["background"]:,} background \
candidates), which no search sees. Splits are by event number.

## Numbers on the test split
{_sentence(weights_of(trial.experiment.data))}; 68 % statistical errors.

{_table(verdict)}

{verdict.latency_told}

{working_points_section(shipped)}

## Verdict
{verdict.outcome}: {verdict.reason}.{" Promoted by force." if verdict.forced else ""}
The reloaded model gives {verdict.objective} = {verdict.validation["found"]:.6g} on the validation \
split; the trial recorded {verdict.validation["recorded"]:.6g}.

{_gate(verdict)}

## Inputs
Physical values in the dataset's units; logarithms, clips and constants are inside the model. \
Objects are in the dataset's order and padded with zeros; `<group>_mask` is True for real ones.

{inputs}

{_use(verdict)}

## Limits
Errors are statistical only. The numbers hold for the simulation, selection and weights of this \
dataset; on data, or outside its range of momentum and pile-up, they have to be measured again. \
The score is not calibrated as a probability, and one cut on it is not flat in momentum or pile-up.
"""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _gate(verdict: Verdict) -> str:
    """Return what the promotion gate asked and found; empty if nothing."""
    if not verdict.checks:
        return ""
    lines = ["| check | this model | champion | change | p | asked | passed |", "|" + "---|" * 7]
    lines += [f"| {' | '.join(check.row)} |" for check in verdict.checks]
    return "\n".join(lines)


def _use(verdict: Verdict) -> str:
    return f"""\
## How to use
```python
from tauopt.models.model_file import load_model
model = load_model("model.keras", sha256="{verdict.model_sha256}")
found = model(inputs)  # a dict of arrays, named as above
probabilities = found["probabilities"]
```
Or `mlflow.pyfunc.load_model("models:/{verdict.model}@champion").predict(inputs)`."""


def _scores(task: Task) -> str:
    """Say what a saved model gives beside probabilities; see `tauopt.models.output_scores`."""
    if not task.background:
        return ""
    told = ["; `signal_score`, the sum over the signal classes"]
    modes = [name for name in task.classes if name in task.signal]
    if len(modes) > 1:
        told.append(f"`mode_scores`, P(class | signal) of {', '.join(modes)}")
    if len(task.background) > 1:
        names = ", ".join(f"`against_{name}`" for name in task.background)
        told.append(f"{names}, signal / (signal + that class)")
    return "; ".join(told)


def _shape(group: str, what: ModelInputs) -> str:
    features = len(what.features[group])
    if group not in what.lengths:
        return f"(N, {features}) float32"
    return f"(N, {what.lengths[group]}, {features}) float32"


def _table(verdict: Verdict) -> str:
    against = bool(verdict.champion_test)
    head = "| metric | this model |" + (
        f" champion (version {verdict.champion['version']}) |" if against else ""
    )
    lines = [head, "|---|---|" + ("---|" if against else "")]
    for name, triple in verdict.test.items():
        line = f"| {name} | {shown(triple)} |"
        if against:
            other = verdict.champion_test.get(name)
            line += f" {shown(other) if other else ''} |"
        lines.append(line)
    return "\n".join(lines)
