"""Runs in words: the markdown that the MLflow UI shows as a run's description."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LOGGED_TABLES = "mlflow.loggedArtifacts"
"""Tag by which the UI knows which JSON artifacts are tables."""


def search_note(
    *,
    name: str,
    large: Sequence[str],
    small: Sequence[str] = (),
    facts: Mapping[str, str],
    board: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Describe a search: what it looks for, facts, and the best trials so far.

    Args:
        name: of the search.
        large: objectives that it makes as large as it can, the first one first.
        small: objectives that it makes as small as it can.
        facts: label -> value, in order: dataset, network, resume command, ...
        board: rows of the leaderboard, the best first; all with the same keys.
    """
    aims = [f"{_listed(large)} as large", *([f"{_listed(small)} as small"] if small else [])]
    lines = [f"**{name}** makes {' and '.join(aims)} as it can.", "", *_facts(facts)]
    if board:
        lines += ["", "### Leaderboard", "", *markdown_table(board[:10])]
    if board and len(large) + len(small) > 1:
        lines += ["", "Front 1: no trial is as good in all objectives and better in one."]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def trial_note(*, number: int, search: str, facts: Mapping[str, str], figures: bool = True) -> str:
    """Describe a trial: its number, its search, facts, and where its figures are."""
    lines = [f"Trial {number} of the search **{search}**.", "", *_facts(facts)]
    if figures:
        lines += ["", "ROC curve, scores and training curves: *Artifacts*, folder `figures`."]
    return "\n".join(lines)


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [f"- {label}: {value}" for label, value in facts.items()]


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write rows with the same keys as the lines of a markdown table; floats to 4 digits."""
    header = list(rows[0])
    return [
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
        *("| " + " | ".join(_cell(row[key]) for key in header) + " |" for row in rows),
    ]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def table_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows with the same keys in the layout that MLflow's UI shows as a table."""
    keys = list(rows[0]) if rows else []
    data = [[row[key] for key in keys] for row in rows]
    return json.dumps({"columns": [_title(key) for key in keys], "data": data}, indent=1)


def _title(key: str) -> str:
    """Write `rejection@0.75` as `rejection at 75 %`: the UI takes a dot for a path in a row."""
    title = re.sub(r"@(0?\.\d+)", lambda found: f" at {100 * float(found[1]):g} %", key)
    return title.replace(".", "_")


def table_tag(*paths: str) -> dict[str, str]:
    """Return the tag that lets the UI show JSON artifacts (`table_json`) as tables."""
    return {LOGGED_TABLES: json.dumps([{"path": path, "type": "table"} for path in paths])}
