"""The report of a search as one HTML page: nothing outside it is referred to, no text unescaped."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tauopt.figures.search.trial_points import FATES
from tauopt.report.compute_cost import ComputeCost, CostEntry
from tauopt.report.html_elements import Html, element, joined
from tauopt.report.page_style import SCRIPT, STYLE
from tauopt.report.page_tables import TableColumn, board, number_text, pairs, table
from tauopt.report.search_record import SearchRecord

_TITLES = (
    "Leaderboard", "Figures", "Ledger of compute", "Dataset", "Environment", "Configuration",
)  # fmt: skip


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page."""

    name: str
    title: str
    reading: str
    """One or two sentences that say how to read it."""
    png: bytes = field(repr=False)


def page(
    facts: SearchRecord,
    ledger: ComputeCost,
    *,
    figures: Sequence[PageFigure],
    problems: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        facts: of the search.
        ledger: of it.
        figures: drawn.
        problems: figures that could not be drawn, and why.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{facts.name}: search report"),
        element("style", Html(STYLE)),
    )
    body = element(
        "body",
        element("main", _top(facts, ledger), *_sections(facts, ledger, figures, problems)),
        element("script", Html(SCRIPT)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _sections(
    facts: SearchRecord, ledger: ComputeCost, figures: Sequence[PageFigure], problems: Sequence[str]
) -> list[Html]:
    parts: list[list[str]] = [
        [board(facts)],
        [*(_figure(s) for s in figures), *map(_problem, problems)] or [_nothing()],
        [_ledger(ledger)],
        [_dataset(facts)],
        [pairs({**_versions(facts), **facts.environment})],
        [element("pre", facts.yaml or "not recorded")],
    ]
    return [_section(title, *part) for title, part in zip(_TITLES, parts, strict=True)]


def _section(title: str, *content: str) -> Html:
    return element("section", element("h2", title), *content, id=_anchor(title))


def _anchor(title: str) -> str:
    return title.partition(" ")[0].lower()


def _contents() -> Html:
    links = (element("a", title, href=f"#{_anchor(title)}") for title in _TITLES)
    return element("nav", *links)


def _top(facts: SearchRecord, ledger: ComputeCost) -> Html:
    fates = Counter(trial.fate for trial in facts.trials)
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in FATES if fates[fate]) or "none yet"
    asked = f" of {facts.asked} asked for" if facts.asked else ""
    wanted = "; ".join(f"{goal.name} {goal.direction}d" for goal in facts.goals)
    total = ledger.total
    cost = f"{total.cpu_hours:.3g} core-hours, {total.gpu_hours:.3g} GPU-hours"
    return element(
        "header",
        element("p", "tauopt search report", class_="kind"),
        element("h1", facts.name),
        pairs(
            {
                "objective": wanted,
                "best": _best(facts),
                "trials": f"{len(facts.trials)}{asked}: {counts}",
                "compute": f"{cost} in {ledger.wall_hours:.3g} hours of wall time",
                "state": _state(facts),
            }
        ),
        _contents(),
    )


def _best(facts: SearchRecord) -> str:
    if not facts.board or not facts.board[0].rank:
        return "no trial has completed yet"
    row = facts.board[0]
    interval = "" if row.low is None else f" (68 %: {row.low:.4g} to {row.high:.4g})"
    return f"t{row.number:03d}, {facts.goals[0].name} = {number_text(row.value)}{interval}"


def _state(facts: SearchRecord) -> str:
    drivers = len(facts.sessions)
    resumed = f"; {drivers} drivers, one after another" if drivers > 1 else ""
    if not facts.sessions:
        return "no driver's records"
    begun = f"begun {_date(facts.sessions[0].begin)}"
    if facts.is_alive:
        return f"{begun}, still running when this was written{resumed}"
    return f"{begun}, last active {_date(facts.sessions[-1].end)}{resumed}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _figure(shown: PageFigure) -> Html:
    source = "data:image/png;base64," + base64.b64encode(shown.png).decode()
    return element(
        "figure",
        element("h3", shown.title),
        element("img", src=source, alt=shown.title),
        element("figcaption", shown.reading),
    )


def _nothing() -> Html:
    return element("p", "There is nothing to draw yet.")


def _problem(text: str) -> Html:
    return element("p", f"Not drawn: {text}", class_="problem")


def _ledger(ledger: ComputeCost) -> Html:
    total = ledger.total
    entries = [*ledger.entries, total]
    columns = [
        TableColumn("what", [entry.meaning for entry in entries]),
        TableColumn("trials", [f"{entry.trials:,}" for entry in entries]),
        TableColumn("candidate-passes", [f"{entry.passes:,}" for entry in entries]),
        TableColumn("core-hours", [f"{entry.cpu_hours:.3g}" for entry in entries]),
        TableColumn("GPU-hours", [f"{entry.gpu_hours:.3g}" for entry in entries]),
        TableColumn("share of core-hours", [_share(entry, total) for entry in entries]),
    ]
    said = [
        f"Before training (a worker's start, imports, the network's building): "
        f"{ledger.waiting_cpu_hours:.3g} core-hours of these.",
        f"Repeated trials spared {ledger.passes_spared:,} candidate-passes.",
        f"Training was cut off {ledger.interruptions} times; what that lost is an upper limit, "
        "from the time since the last report.",
        "Hours are those in which cores and GPUs were held. A candidate-pass is one candidate "
        "seen once in training.",
    ]
    return joined(table(columns, kind="total"), element("p", " ".join(said)))


def _share(entry: CostEntry, total: CostEntry) -> str:
    return f"{100 * entry.cpu_hours / total.cpu_hours if total.cpu_hours else 0.0:.1f} %"


def _dataset(facts: SearchRecord) -> Html:
    digest = facts.origin.get("dataset") or "not recorded"
    if facts.counts is None:
        return pairs({"digest": digest, "candidates": "the prepared dataset is not there any more"})
    splits = facts.counts.splits
    classes = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    columns = [
        TableColumn("split", list(splits)),
        *(TableColumn(c, [f"{counts.get(c, 0):,}" for counts in splits.values()]) for c in classes),
        TableColumn("candidates", [f"{sum(counts.values()):,}" for counts in splits.values()]),
    ]
    return joined(pairs({"name": facts.counts.name, "digest": digest}), table(columns))


def _versions(facts: SearchRecord) -> dict[str, str]:
    known = {
        "git commit": facts.origin.get("commit", ""),
        "code": facts.origin.get("code", ""),
        "experiment digest": facts.origin.get("experiment", ""),
        "MLflow run": facts.origin.get("run_id", ""),
    }
    return {name: value for name, value in known.items() if value}
