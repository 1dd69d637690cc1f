"""Write constants and statistics of the training split as readable files, YAML and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tauopt import durable
from tauopt.config.source.yaml_text import plain_text
from tauopt.dataset.manifest import ChunkFile
from tauopt.prepare.constants import QUANTILES, Summary

YAML, CSV = "constants.yaml", "constants.csv"
_HEAD = """\
# What networks see of each feature: (clip(transform(x)) - shift) / spread, with constants fitted on
# the training split. The transform goes in this order: divide, abs, clip to [min, max], add
# `offset`, log10; `clip` are bounds of the transformed value. The model has all of this inside.

"""
_COLUMNS = ("group", "feature", "objects", "mean", "standard_deviation", "min", "max")


def write_constants(folder: Path, groups: Mapping[str, Sequence[Summary]]) -> dict[str, ChunkFile]:
    """Write `constants.yaml` and `constants.csv` into a folder that is being prepared.

    The YAML file has expression, transform and constants of each feature. The CSV file has one row
    a feature: the number of candidates or objects, and mean, standard deviation, minimum, maximum
    and quantiles of its transformed values in the training split, unweighted. Features without
    a value are in neither.

    Args:
        folder: of the dataset.
        groups: name -> summaries of its features.
    Returns:
        size and digest of the files, by name.
    """
    tree = {
        name: {summary.plan.name: _described(summary) for summary in summaries}
        for name, summaries in groups.items()
    }
    (folder / YAML).write_text(_HEAD + plain_text(tree), encoding="utf-8")
    with (folder / CSV).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(f"quantile_{q:g}" for q in QUANTILES)])
        for name, summaries in groups.items():
            writer.writerows(_row(name, summary) for summary in summaries)
    return {
        name: ChunkFile(
            sha256=durable.sha256_file(folder / name), bytes=(folder / name).stat().st_size
        )
        for name in (YAML, CSV)
    }


def _described(summary: Summary) -> dict[str, Any]:
    fitted = summary.fitted
    described: dict[str, Any] = {
        "expression": summary.plan.expression.text,
        "transform": fitted.transform.model_dump(mode="json", exclude_defaults=True),
        "shift": _rounded(fitted.shift),
        "spread": _rounded(fitted.spread),
    }
    return described | ({"clip": [_rounded(bound) for bound in fitted.clip]} if fitted.clip else {})


def _row(group: str, summary: Summary) -> Iterator[Any]:
    yield from (group, summary.plan.name, summary.count)
    numbers = (summary.mean, summary.deviation, summary.min, summary.max, *summary.quantiles)
    yield from (f"{number:.7g}" for number in numbers)


def _rounded(number: float) -> float:
    """Return a number with nine digits, enough to distinguish any two float32."""
    return float(f"{number:.9g}")
