"""Compare trials: the settings in which they differ, and the report in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tauopt.errors import DataError

if TYPE_CHECKING:
    from tauopt.evaluation.recorded_trial import Trial
    from tauopt.metrics.trial_comparison import ComparedNumber, DifferenceFromBase, TrialComparison

ABSENT = "-"
"""Value of a setting that a trial does not have."""
_SECTIONS = ("task", "model", "training", "objective")
"""Sections of an experiment that determine a training."""
_FACTS = ("tauopt_version", "dataset_digest", "seed", "parameters", "candidates_seen", "reports",
          "best_report", "ended", "seconds", "precision", "training_method")  # fmt: skip
"""Keys of a trial's result that are compared too."""


@dataclass(frozen=True)
class ComparisonReport:
    """Result of a comparison, and its files."""

    comparison: TrialComparison
    differences: dict[str, list[Any]]
    """Path of a setting, or key of a result -> a value for each trial; only what differs."""
    run_ids: dict[str, str]
    sample: str
    candidates: dict[str, int]
    """Number of `signal` and `background` candidates, which all trials judge."""
    folder: Path
    files: tuple[Path, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "trials": self.run_ids,
            "base": self.comparison.names[0],
            "sample": self.sample,
            "candidates": self.candidates,
            "differences": self.differences,
            **self.comparison.as_json(),
            "folder": str(self.folder),
            "files": [path.name for path in self.files],
        }


def names_of(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Return trials by unique names: the run's, with letters of its id where two are equal."""
    names = [trial.name for trial in trials]
    return {
        trial.name
        if names.count(trial.name) == 1
        else f"{trial.name} ({trial.run_id[:6] or trial.sha256[:6]})": trial
        for trial in trials
    }


def check_same_data(trials: Mapping[str, Trial]) -> None:
    """Check that trials were trained on the same dataset.

    Raises:
        DataError: they were not: the test split of one may hold what another was trained on.
    """
    digests = {name: trial.dataset_digest for name, trial in trials.items()}
    if len(set(digests.values())) > 1:
        listed = ", ".join(f"{name} on {digest[:16]}" for name, digest in digests.items())
        raise DataError(
            f"these trials were trained on different datasets ({listed}), and the test split of "
            "one may hold what another was trained on; compare them on ntuples that none was "
            "trained on: tauopt evaluate RUN FILES --reference OTHER"
        )


def differences(trials: Mapping[str, Trial]) -> dict[str, list[Any]]:
    """Return the settings and facts in which trials differ: path -> a value for each trial."""
    from tauopt.config.settings.dotted_paths import flat

    rows = []
    for trial in trials.values():
        experiment = trial.experiment.model_dump(mode="json", include=set(_SECTIONS))
        settings = [flat(experiment[section], section) for section in _SECTIONS]
        facts = {name: trial.result.get(name, ABSENT) for name in _FACTS}
        rows.append({path: value for part in (*settings, facts) for path, value in part.items()})
    order = {name: place for place, name in enumerate((*_SECTIONS, *_FACTS))}
    paths = sorted(  # by section, so that a setting that one trial has alone stands in its section
        dict.fromkeys(path for row in rows for path in row),
        key=lambda path: order[path.partition(".")[0]],
    )
    table = {path: [row.get(path, ABSENT) for row in rows] for path in paths}
    return {path: values for path, values in table.items() if any(v != values[0] for v in values)}


def report(result: ComparisonReport) -> str:
    """Return the whole report in Markdown."""
    base, *others = result.comparison.names
    counts = ", ".join(f"{count:,} {kind}" for kind, count in result.candidates.items())
    figures = [path.name for path in result.files if path.suffix == ".png"]
    corrected = ", corrected for the number of trials compared (Holm)" if len(others) > 1 else ""
    rows = [[f"`{path}`", *map(cell, values)] for path, values in result.differences.items()]
    settings = table(["", *result.comparison.names], rows) if rows else "None."
    return f"""# {", ".join(others)} against {base}

On the {result.sample}: {counts} candidates, which all of these trials judge. Differences are to \
{base}, with 68 % statistical errors, from a paired bootstrap of the candidates; p is the \
two-sided p-value of the difference{corrected}; "<" marks an upper bound: no replica has the \
opposite sign.

## Settings that differ

{settings}

## Numbers

{numbers_table(result)}

{mcnemar_sentences(result)}

## Figures

{chr(10).join(f"![{name.removesuffix('.png')}]({name})" for name in figures)}
"""


def cell(value: Any) -> str:
    """Return a value as text of a table cell, at most 40 characters."""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def numbers_table(result: ComparisonReport) -> str:
    """Return a Markdown table of every number of every trial with its difference to the base."""
    base, *others = result.comparison.names
    head = ["candidates", "metric", base]
    for name in others:
        head += [name, "difference", "p"]
    return table(head, [number_row(line) for line in result.comparison.lines])


def number_row(line: ComparedNumber) -> list[str]:
    """Return a number of all trials as table cells."""
    cells = [line.candidates, line.metric, str(line.base)]
    for other in line.others:
        cells += [str(other.value), *_difference(other)]
    return cells


def _difference(other: DifferenceFromBase) -> list[str]:
    from tauopt.metrics.estimate import shown_chance

    if other.difference is None or other.low is None or other.high is None or other.p_holm is None:
        return ["", ""]
    interval = f"{other.difference:+.3g} [{other.low:+.3g}, {other.high:+.3g}]"
    return [interval, shown_chance(other.p_holm, bound=other.p_limit)]


def mcnemar_sentences(result: ComparisonReport) -> str:
    """Return the results of McNemar's test of the accuracies, a line for each other trial."""
    base, *others = result.comparison.names
    lines = []
    for name, test in zip(others, result.comparison.mcnemar, strict=True):
        if test is None:
            lines.append(
                f"McNemar's test of {name} against {base} is not made: it needs the same classes "
                "and equal weights; see the bootstrap of the accuracies above."
            )
        else:
            lines.append(
                f"Candidates that only {name} classifies correctly against those that only {base} "
                f"does: {test} (McNemar, exact)."
            )
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines
    )
