"""Propose a dataset file for ntuples that were looked at: a start to be edited."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Sequence

from tauopt.config.inputs import CANDIDATE, mask_name
from tauopt.errors import DataError
from tauopt.physics.expressions import ExpressionError, parse
from tauopt.workflows.inspect import Branch, Table

FILL_IN = "FILL IN"
"""Stands where a human has to decide; it is no expression, so `tauopt validate` asks for it."""

_EVENT_NUMBERS = ("eventnumber", "mceventnumber", "event", "evt", "evtnumber", "eventid")
_WEIGHTS = ("weight", "eventweight", "mceventweight", "genweight", "mcweight")
_TRUTH = re.compile(r"truth|label|^is_?[a-z]|class|flavou?r|match|^gen|pdgid", re.IGNORECASE)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def propose(tables: Sequence[Table]) -> str:
    """Write a commented dataset file, complete but for the classes' selections.

    Args:
        tables: one of each file, with the same branches; what only some have is left out.
    Returns:
        YAML text; `FILL IN` marks what has to be decided.
    Raises:
        DataError: there is no branch that could be a feature.
    """
    common = set.intersection(*({b.name for b in table.branches} for table in tables))
    branches = [b for b in tables[0].branches if b.name in common and b.values and _usable(b.name)]
    event = _guess(_EVENT_NUMBERS, (b for b in branches if b.integer and not b.jagged))
    weight = _guess(_WEIGHTS, (b for b in branches if not b.jagged))
    truth = [b.name for b in branches if _TRUTH.search(_leaf(b.name))]
    features = [b for b in branches if b.name not in {event, weight, *truth}]
    scalars = [b for b in features if not b.jagged]
    if not any(b.minimum != b.maximum for b in scalars):
        raise DataError(
            f"{tables[0].path}: no branch of {tables[0].name!r} holds one number a candidate"
        )
    skipped = [b.name for b in tables[0].branches if b not in branches]
    lines = [
        "# Proposed by `tauopt inspect --init` from the first entries of each file. Fill in what",
        f"# is marked with {FILL_IN}, delete what no network should see, look at the transforms;",
        "# then: tauopt validate <this file>",
        f"name: {_quoted(_name(tables[0].path.stem))}",
        *_samples(tables, weight),
        *_classes(truth),
        *_event_number(event),
        "candidate:",
        *_features(scalars, indent=2, prefix=_shared_prefix(scalars)),
        *_groups([b for b in features if b.jagged]),
        *_spectators(scalars),
    ]
    if skipped:
        lines += ["", "# Left out, being no numbers, empty, or not in all files:"]
        lines += [f"#   {name}" for name in skipped]
    return "\n".join(lines) + "\n"


def _usable(name: str) -> bool:
    """Say whether a branch can be written in an expression."""
    try:
        return parse(name).branches == (name,)
    except ExpressionError:
        return False


def _leaf(name: str) -> str:
    return re.split(r"[./]", name)[-1]


def _guess(wanted: Sequence[str], branches: Iterable[Branch]) -> str:
    """Return the branch whose name is nearest to the head of `wanted`; empty if there is none."""
    found = {_leaf(b.name).replace("_", "").lower(): b.name for b in reversed([*branches])}
    return next((found[name] for name in wanted if name in found), "")


def _samples(tables: Sequence[Table], weight: str) -> list[str]:
    lines = ["samples:"]
    taken: set[str] = set()
    for table in tables:
        path = json.dumps(glob.escape(str(table.path.absolute())))
        lines += [
            f"  {_quoted(_fresh(_name(table.path.stem), taken))}:",
            f"    files: [{path}]  # globs: *, ?, %d",
            f"    tree: {_quoted(table.name)}",
            f"    weight: {_quoted(weight or '1')}  # with cross-section and luminosity, if known",
            "    classes: [background, signal]  # which of the classes below these files may hold",
        ]
    return lines


def _classes(truth: Sequence[str]) -> list[str]:
    hint = f"look at {', '.join(truth[:12])}" if truth else "no branch looks like a truth label"
    return [
        "",
        "# Every candidate must be of exactly one class, for instance `is_tau == 1`:",
        f"# {hint}",
        "classes:",
        f"  background: {FILL_IN}",
        f"  signal: {FILL_IN}",
    ]


def _event_number(event: str) -> list[str]:
    return [
        "",
        "# The same event always falls into the same split, on every machine.",
        f"event_number: {_quoted(event) if event else FILL_IN}",
        "split:",
        "  train: event_number % 10 < 6",
        "  validation: event_number % 10 == 6 || event_number % 10 == 7",
        "  test: event_number % 10 > 7",
        "",
        '# selection: "pt > 20000 && abs(eta) < 2.5"',
    ]


def _features(branches: Sequence[Branch], *, indent: int, prefix: str = "") -> list[str]:
    taken: set[str] = set()
    lines = []
    for branch in branches:
        short = branch.name.removeprefix(prefix).lstrip("._") or branch.name
        name = _fresh(_variable(short), taken)
        own = "" if name == branch.name else f"expression: {_quoted(branch.name)}, "
        comment = f"{branch.minimum:g} to {branch.maximum:g}" if branch.minimum is not None else ""
        comment += f", {branch.nans} of {branch.values} NaN" if branch.nans else ""
        constant = branch.minimum == branch.maximum
        start = f"{' ' * indent}{'# ' if constant else ''}"  # a constant teaches nothing
        comment += ", constant: left out" if constant else ""
        lines.append(f"{start}{_quoted(name)}: {{{own}scale: standard}}  # {comment}")
    return lines


def _shared_prefix(branches: Sequence[Branch]) -> str:
    """Return what stands before the dot in the names of all branches, if it is the same."""
    prefixes = {branch.name.rpartition(".")[0] for branch in branches}
    return f"{prefixes.pop()}." if len(prefixes) == 1 else ""


def _groups(branches: Sequence[Branch]) -> list[str]:
    """Group lists by prefix; within one prefix, only what counts the same objects goes together."""
    groups: dict[tuple[str, tuple[int, ...]], list[Branch]] = {}
    for branch in (b for b in branches if b.minimum != b.maximum):
        groups.setdefault((_prefix(branch.name), branch.objects), []).append(branch)
    lines = ["", "groups:"] if groups else []
    taken = {CANDIDATE}
    for (prefix, counts), members in groups.items():
        name = _fresh(_variable(prefix) or "objects", taken)
        taken.add(mask_name(name))
        order = next((b.name for b in members if _leaf(b.name).lower().endswith(("pt", "et"))), "")
        lines.append(f"  {_quoted(name)}:  # {min(counts)} to {max(counts)} a candidate")
        if order:
            lines.append(f"    order_by: {_quoted(order)}")
        lines += ["    features:", *_features(members, indent=6, prefix=prefix)]
    return lines


def _prefix(name: str) -> str:
    parts = re.split(r"[._]", name)
    return parts[0] if len(parts) > 1 else ""


def _spectators(scalars: Sequence[Branch]) -> list[str]:
    names = {_leaf(b.name).lower(): b.name for b in reversed(scalars)}
    known = {"pt": "pt", "eta": "eta", "mu": "mu", "prongs": "n_tracks"}
    found = {n: names.get(n) or names.get(other) for n, other in known.items()}
    lines = [f"  {name}: {_quoted(branch)}" for name, branch in found.items() if branch]
    return (
        ["", "# Kept for evaluation, never seen by networks.", "spectators:", *lines]
        if lines
        else []
    )


def _name(text: str) -> str:
    """Make a name of a sample or a dataset."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:64] or "ntuples"


def _variable(text: str) -> str:
    """Make a name of a feature or a group; empty stays empty."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text)
    return (f"_{name}" if name[:1].isdigit() else name)[:60]


def _fresh(name: str, taken: set[str]) -> str:
    """Return `name`, or with a number behind it if it is taken; takes it."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name[:60]}_{number}", number + 1
    taken.add(found)
    return found


def _quoted(text: str) -> str:
    """Write text as a YAML scalar."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", text) and text.lower() not in _YAML_WORDS
    return text if plain else json.dumps(text)
