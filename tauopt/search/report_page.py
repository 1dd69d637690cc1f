"""The report of a search as one HTML page: nothing outside it is referred to, no text unescaped."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tauopt.evaluation.search_trials import FATES
from tauopt.search.html import Html, element, joined
from tauopt.search.leaderboard import Row, varying
from tauopt.search.report_facts import SearchFacts
from tauopt.search.report_ledger import Entry, Ledger
from tauopt.search.report_style import SCRIPT, STYLE


@dataclass(frozen=True)
class Shown:
    """A figure on the page."""

    name: str
    title: str
    reading: str
    """One or two sentences that say how to read it."""
    png: bytes = field(repr=False)


def page(
    facts: SearchFacts, ledger: Ledger, *, figures: Sequence[Shown], problems: Sequence[str] = ()
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
    facts: SearchFacts, ledger: Ledger, figures: Sequence[Shown], problems: Sequence[str]
) -> list[Html]:
    return [
        _section("Leaderboard", _board(facts)),
        _section("Figures", *(_figure(shown) for shown in figures), *map(_problem, problems)),
        _section("Ledger of compute", _ledger(ledger)),
        _section("Dataset", _dataset(facts)),
        _section("Environment", _pairs({**_versions(facts), **facts.environment})),
        _section("Configuration", element("pre", facts.yaml or "not recorded")),
    ]


def _section(title: str, *content: str) -> Html:
    return element("section", element("h2", title), *content)


def _top(facts: SearchFacts, ledger: Ledger) -> Html:
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
        _pairs(
            {
                "objective": wanted,
                "best": _best(facts),
                "trials": f"{len(facts.trials)}{asked}: {counts}",
                "compute": f"{cost} in {ledger.wall_hours:.3g} hours of wall time",
                "state": _state(facts),
            }
        ),
    )


def _best(facts: SearchFacts) -> str:
    if not facts.board or not facts.board[0].rank:
        return "no trial has completed yet"
    row = facts.board[0]
    interval = "" if row.low is None else f" (68 %: {row.low:.4g} to {row.high:.4g})"
    return f"t{row.number:03d}, {facts.goals[0].name} = {_number(row.value)}{interval}"


def _state(facts: SearchFacts) -> str:
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


def _figure(shown: Shown) -> Html:
    source = "data:image/png;base64," + base64.b64encode(shown.png).decode()
    return element(
        "figure",
        element("h3", shown.title),
        element("img", src=source, alt=shown.title),
        element("figcaption", shown.reading),
    )


def _problem(text: str) -> Html:
    return element("p", f"Not drawn: {text}", class_="problem")


def _board(facts: SearchFacts) -> Html:
    if not facts.board:
        return element("p", "No trial has begun yet.")
    paths = varying(facts.board)
    first, *others = [goal.name for goal in facts.goals]
    header = ["rank", *(["front"] if others else []), "trial", first, "68 % interval", *others,
              "state", "minutes", *paths, "reason"]  # fmt: skip
    lines = [_row(row, others, paths) for row in facts.board]
    filled = [i for i, name in enumerate(header) if name != "reason" or any(x[i] for x in lines)]
    said = (
        "Sorted by a click on a column's head. A value in parentheses is the best so far of a "
        "trial that did not complete."
    )
    if others:
        said += " Front 1: no trial is as good in all objectives and better in one."
    cells = [[line[i] for i in filled] for line in lines]
    return joined(element("p", said), _table([header[i] for i in filled], cells, sortable=True))


def _row(row: Row, others: Sequence[str], paths: Sequence[str]) -> list[str]:
    value = "" if row.value is None else _number(row.value)
    low, high = row.low, row.high
    complete = row.state == "COMPLETE"
    standing = row.standing
    if row.duplicate_of is not None:
        standing = f"repeats t{row.duplicate_of:03d}"
    return [
        str(row.rank or ""),
        *([str(row.front or "")] if others else []),
        f"t{row.number:03d}",
        value if complete or not value else f"({value})",
        "" if low is None or high is None else f"{low:.4g} to {high:.4g}",
        *(_number(row.others[name][0]) if name in row.others else "" for name in others),
        standing,
        "" if row.seconds is None else f"{row.seconds / 60:.1f}",
        *(_number(row.shown[path]) if path in row.shown else "" for path in paths),
        row.reason,
    ]


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _ledger(ledger: Ledger) -> Html:
    header = [
        "what",
        "trials",
        "candidate-passes",
        "core-hours",
        "GPU-hours",
        "share of core-hours",
    ]
    total = ledger.total
    rows = [_entry(entry, total) for entry in (*ledger.entries, total)]
    said = [
        f"Before training (a worker's start, imports, the network's building): "
        f"{ledger.waiting_cpu_hours:.3g} core-hours of these.",
        f"Repeated trials spared {ledger.passes_spared:,} candidate-passes.",
        f"Training was cut off {ledger.interruptions} times; what that lost is an upper limit, "
        "from the time since the last report.",
        "Hours are those in which cores and GPUs were held. A candidate-pass is one candidate "
        "seen once in training.",
    ]
    return joined(_table(header, rows, last_bold=True), element("p", " ".join(said)))


def _entry(entry: Entry, total: Entry) -> list[str]:
    share = entry.cpu_hours / total.cpu_hours if total.cpu_hours else 0.0
    return [
        entry.meaning,
        f"{entry.trials:,}",
        f"{entry.passes:,}",
        f"{entry.cpu_hours:.3g}",
        f"{entry.gpu_hours:.3g}",
        f"{100 * share:.1f} %",
    ]


def _dataset(facts: SearchFacts) -> Html:
    digest = facts.origin.get("dataset") or "not recorded"
    if facts.counts is None:
        return _pairs(
            {"digest": digest, "candidates": "the prepared dataset is not there any more"}
        )
    splits = facts.counts.splits
    classes = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    rows = [
        [split, *(f"{counts.get(name, 0):,}" for name in classes), f"{sum(counts.values()):,}"]
        for split, counts in splits.items()
    ]
    return joined(
        _pairs({"name": facts.counts.name, "digest": digest}),
        _table(["split", *classes, "candidates"], rows),
    )


def _versions(facts: SearchFacts) -> dict[str, str]:
    known = {
        "git commit": facts.origin.get("commit", ""),
        "code": facts.origin.get("code", ""),
        "experiment digest": facts.origin.get("experiment", ""),
        "MLflow run": facts.origin.get("run_id", ""),
    }
    return {name: value for name, value in known.items() if value}


def _pairs(pairs: Mapping[str, str]) -> Html:
    rows = (
        element("tr", element("th", k, scope="row"), element("td", v)) for k, v in pairs.items()
    )
    return element("table", *rows, class_="pairs")


def _table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    sortable: bool = False,
    last_bold: bool = False,
) -> Html:
    top = element("tr", *(element("th", name, scope="col") for name in header))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    kinds = [*(["sortable"] if sortable else []), *(["total"] if last_bold else [])]
    table = element(
        "table", element("thead", top), element("tbody", *body), class_=" ".join(kinds) or "plain"
    )
    return element("div", table, class_="wide")
