"""Write the markdown descriptions and tables of runs that MLflow's UI shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LOGGED_TABLES = "mlflow.loggedArtifacts"
"""Tag that lists which JSON artifacts the UI shows as tables."""


def search_note(
    *,
    name: str,
    large: Sequence[str],
    small: Sequence[str] = (),
    facts: Mapping[str, str],
    board: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Describe a search: its objectives, facts about it, and the best trials so far.

    Args:
        name: name of the search.
        large: objectives to maximise, the main one first.
        small: objectives to minimise.
        facts: label -> value, in order: dataset, network, resume command, ...
        board: rows of the leaderboard, the best first; all with the same keys.
    """
    goals = [f"maximises {_listed(large)}", *([f"minimises {_listed(small)}"] if small else [])]
    lines = [f"**{name}** {' and '.join(goals)}.", "", *_facts(facts)]
    if board:
        lines += ["", "### Leaderboard", "", *markdown_table(board[:10])]
    if board and len(large) + len(small) > 1:
        lines += ["", "Front 1: no trial is as good in all objectives and better in one."]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def trial_note(*, number: int, search: str, facts: Mapping[str, str], figures: bool = True) -> str:
    """Describe a trial: its number, its search, facts about it, and the folder of its figures."""
    lines = [f"Trial {number} of the search **{search}**.", "", *_facts(facts)]
    if figures:
        lines += ["", "ROC curve, scores and training curves: *Artifacts*, folder `figures`."]
    return "\n".join(lines)


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [f"- {label}: {value}" for label, value in facts.items()]


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a markdown table of rows with the same keys; floats to 4 digits."""
    header = list(rows[0])
    return [
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
        *("| " + " | ".join(_cell(row[key]) for key in header) + " |" for row in rows),
    ]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def table_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows with the same keys as JSON in the layout that MLflow's UI shows as a table."""
    keys = list(rows[0]) if rows else []
    data = [[row[key] for key in keys] for row in rows]
    return json.dumps({"columns": [_title(key) for key in keys], "data": data}, indent=1)


def _title(key: str) -> str:
    """Return the title of a column, without dots.

    `rejection@0.75` -> `rejection at 75 %`; `rejection@[0.6, 0.9]` -> `rejection at 60 to 90 %`.
    """

    def percent(match: re.Match[str]) -> str:
        return " at " + " to ".join(f"{100 * float(end):g}" for end in match.groups() if end) + " %"

    title = re.sub(r"@(0?\.\d+)|@\[([\d.]+), ([\d.]+)\]", percent, key)
    return title.replace(".", "_")  # the UI would read a dot as a path inside the row


def table_tag(*paths: str) -> dict[str, str]:
    """Return the tag with which the UI shows the JSON artifacts at `paths` as tables."""
    return {LOGGED_TABLES: json.dumps([{"path": path, "type": "table"} for path in paths])}
