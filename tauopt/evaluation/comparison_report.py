"""A comparison's outcome, and in Markdown: settings, numbers, significances, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tauopt.metrics.trial_comparison import ComparedNumber, DifferenceFromBase, TrialComparison


@dataclass(frozen=True)
class ComparisonReport:
    """What a comparison found, and where it lies."""

    found: TrialComparison
    differences: dict[str, list[Any]]
    """Path of a setting, or name of a fact -> a value for each trial; only what differs."""
    run_ids: dict[str, str]
    sample: str
    candidates: dict[str, int]
    """`signal` and `background` candidates, which all trials judge."""
    folder: Path
    files: tuple[Path, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        return {
            "trials": self.run_ids,
            "base": self.found.names[0],
            "sample": self.sample,
            "candidates": self.candidates,
            "differences": self.differences,
            **self.found.as_json(),
            "folder": str(self.folder),
            "files": [path.name for path in self.files],
        }


def report(result: ComparisonReport) -> str:
    """Return the whole report."""
    base, *others = result.found.names
    counts = ", ".join(f"{count:,} {kind}" for kind, count in result.candidates.items())
    figures = [path.name for path in result.files if path.suffix == ".png"]
    many = len(others) > 1
    return f"""# {", ".join(others)} against {base}

On the {result.sample}: {counts} candidates, which all of these trials judge. Differences are to \
{base}, with 68 % statistical errors, from a paired bootstrap of the candidates; p is the chance \
of such a difference, either way, between equals{_corrected(many)}; "<" stands where no replica \
is on the other side, so that the chance is known to be smaller and no more.

## Settings that differ

{_settings(result)}

## Numbers

{numbers_table(result)}

{mcnemar_told(result)}

## Figures

{chr(10).join(f"![{name.removesuffix('.png')}]({name})" for name in figures)}
"""


def _corrected(many: bool) -> str:
    return ", corrected for the number of trials compared (Holm)" if many else ""


def _settings(result: ComparisonReport) -> str:
    if not result.differences:
        return "None."
    rows = [[f"`{path}`", *map(told, of)] for path, of in result.differences.items()]
    return table(["", *result.found.names], rows)


def told(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def numbers_table(result: ComparisonReport) -> str:
    """Return every number of every trial with its difference to the base."""
    base, *others = result.found.names
    head = ["candidates", "metric", base]
    for name in others:
        head += [name, "difference", "p"]
    rows = [number_row(line) for line in result.found.lines]
    return table(head, rows)


def number_row(line: ComparedNumber) -> list[str]:
    """Return a number of all trials as cells."""
    cells = [line.candidates, line.metric, str(line.base)]
    for one in line.others:
        cells += [str(one.value), *_difference(one)]
    return cells


def _difference(one: DifferenceFromBase) -> list[str]:
    from tauopt.metrics.estimate import shown_chance

    if one.difference is None or one.low is None or one.high is None or one.p_holm is None:
        return ["", ""]
    ends = f"{one.difference:+.3g} [{one.low:+.3g}, {one.high:+.3g}]"
    return [ends, shown_chance(one.p_holm, bound=one.p_limit)]


def mcnemar_told(result: ComparisonReport) -> str:
    """Say what McNemar's test says of how often each trial names the true class."""
    base, *others = result.found.names
    lines = []
    for name, test in zip(others, result.found.mcnemar, strict=True):
        if test is None:
            lines.append(
                f"McNemar's test of {name} against {base} is not made: it needs the same classes "
                "and equal weights; the bootstrap of the accuracies above stands in for it."
            )
        else:
            lines.append(
                f"Candidates that only {name} names right against those that only {base} does: "
                f"{test} (McNemar, exact)."
            )
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
