"""Propose a dataset file for ntuples that were looked at: a start to be edited."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tauopt.config.settings.inputs import CANDIDATE, mask_name
from tauopt.errors import DataError
from tauopt.workflows.inspect import InspectedBranch, InspectedTable

FILL_IN = "FILL IN"
"""Stands where a human has to decide; it is no expression, so `tauopt validate` asks for it."""

_EVENT_NUMBERS = ("eventnumber", "mceventnumber", "event", "evt", "evtnumber", "eventid")
_WEIGHTS = ("weight", "eventweight", "mceventweight", "genweight", "mcweight")
_TRUTH = re.compile(r"truth|label|^is_?[a-z]|class|flavou?r|match|^gen|pdgid", re.IGNORECASE)
_TOLD = 5
"""Tables and branches that a message names."""
_NOT_RECONSTRUCTED = re.compile(r"truth|gen|hlt|trig", re.IGNORECASE)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def choose(tables: Sequence[InspectedTable]) -> list[InspectedTable]:
    """Choose the table of the candidates in each file.

    That is the one with most entries among those that hold numbers. Where all files have a table
    of one name, with more than one entry as metadata have, it is the same in all.
    """
    files = list(dict.fromkeys(table.path for table in tables))
    names = {name: [t for t in tables if t.name == name] for name in (t.name for t in tables)}
    best = [max((t for t in tables if t.path == path), key=_rank) for path in files]
    shared = [found for found in names.values() if len(found) == len(files)]
    if shared:
        same = max(shared, key=lambda found: tuple(map(sum, zip(*map(_rank, found), strict=True))))
        if max(t.entries for t in same) > 1 or max(t.entries for t in best) < 2:
            return same
    return best


def _rank(table: InspectedTable) -> tuple[int, int, int]:
    """Return what tells candidates from metadata: numbers that vary, entries, branches."""
    numbers = [b for b in table.branches if b.values]
    varying = any(not b.constant for b in numbers)
    return int(varying), table.entries, len(numbers)


def propose(tables: Sequence[InspectedTable], *, others: Sequence[InspectedTable] = ()) -> str:
    """Write a commented dataset file, complete but for the classes' selections.

    Args:
        tables: one of each file, with the same branches; what only some have is left out.
        others: tables of the files that were not chosen.
    Returns:
        YAML text; `FILL IN` marks what has to be decided.
    Raises:
        DataError: there is no branch that could be a feature; says why not.
    """
    left_out = _left_out(tables)
    branches = [b for b in tables[0].branches if b.name not in left_out]
    event = _guess(_EVENT_NUMBERS, (b for b in branches if b.integer and not b.jagged))
    weight = _guess(_WEIGHTS, (b for b in branches if not b.jagged))
    truth = [b for b in branches if _TRUTH.search(_leaf(b.name))]
    features = [b for b in branches if b not in (event, weight, *truth)]
    scalars = [b for b in features if not b.jagged]
    lists = [b for b in features if b.jagged]
    if all(b.constant for b in scalars):
        raise DataError(_nothing(tables[0], scalars, lists, left_out, others))
    lines = [
        "# Proposed by `tauopt inspect --init` from the first entries of each file. Fill in what",
        f"# is marked with {FILL_IN}, delete what no network should see, look at the transforms;",
        "# then: tauopt validate <this file>",
        *_other_tables(others),
        f"name: {_quoted(_name(tables[0].path.stem))}",
        *_layout(lists),
        *_samples(tables, weight.expression if weight else "1"),
        *_classes([b.expression for b in truth]),
        *_event_number(event.expression if event else ""),
        "candidate:",
        *_features(scalars, indent=2, prefix=_shared_prefix(scalars)),
        *_groups(lists),
        *_spectators(scalars),
    ]
    if left_out:
        lines += ["", "# Left out:"]
        lines += [f"#   {_printable(f'{name}: {why}')}" for name, why in left_out.items()]
    return "\n".join(lines) + "\n"


def _left_out(tables: Sequence[InspectedTable]) -> dict[str, str]:
    """Return branch -> why it can be no feature, of the branches of the first table."""
    first, left_out = tables[0], {}
    for branch in first.branches:
        lacking = [t.path.name for t in tables if branch.name not in {b.name for b in t.branches}]
        if branch.problem:
            left_out[branch.name] = f"{branch.type}, {branch.problem}"
        elif not branch.values:
            left_out[branch.name] = f"no value in the first {first.sampled} entries"
        elif lacking:
            left_out[branch.name] = f"not in {', '.join(lacking)}"
    return left_out


def _nothing(
    table: InspectedTable,
    scalars: Sequence[InspectedBranch],
    lists: Sequence[InspectedBranch],
    left_out: Mapping[str, str],
    others: Sequence[InspectedTable],
) -> str:
    """Say why nothing of a table can be a feature of candidates, and what may help."""
    told = f"{table.path}: "
    if table.problem:
        told += table.problem
    elif not table.entries:
        told += f"{table.name!r} holds no entries"
    elif scalars:
        told += (
            f"no branch of {table.name!r} holds one number a candidate that is not the same in "
            f"the first {table.sampled} entries"
        )
    else:
        told += f"no branch of {table.name!r} holds one number a candidate"
    reasons = [f"{name!r}: {why}" for name, why in left_out.items()][:_TOLD]
    if reasons and not table.problem and table.entries:
        more = f", and {len(left_out) - _TOLD} more" if len(left_out) > _TOLD else ""
        told += f"; left out are {'; '.join(reasons)}{more}"
    if lists:
        told += (
            f"; its lists look like events: write a dataset file with `layout: {{type: events, "
            f"candidates: {_collection(lists)}}}` (see search_spaces/data/nanoaod.yaml)"
        )
    if others:
        told += f"; the file also has {_listed(others)}: choose one with --tree"
    return told


def _listed(tables: Sequence[InspectedTable]) -> str:
    told = dict.fromkeys(f"{t.name!r} ({t.entries} entries)" for t in tables)
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return ", ".join([*told][:_TOLD]) + more


def _other_tables(others: Sequence[InspectedTable]) -> list[str]:
    if not others:
        return []
    return [f"# Other trees, of which --tree chooses one: {_printable(_listed(others))}"]


def _leaf(name: str) -> str:
    return re.split(r"[./:#]", name)[-1]


def _guess(wanted: Sequence[str], branches: Iterable[InspectedBranch]) -> InspectedBranch | None:
    """Return the branch whose name is nearest to the head of `wanted`; None if there is none."""
    found = {_leaf(b.name).replace("_", "").lower(): b for b in reversed([*branches])}
    return next((found[name] for name in wanted if name in found), None)


def _layout(lists: Sequence[InspectedBranch]) -> list[str]:
    """Say how events are read: lists may be the objects of a candidate, or the candidates."""
    heads = {_head(branch) for branch in lists}
    if len(heads) < 2 and not any("tau" in head.lower() for head in heads):
        return []
    return [
        "",
        "# An entry is taken for a candidate, and its lists for the candidate's objects. If it is",
        "# an event, and one of the lists holds the candidates, say which one; its branches are",
        "# features then, other lists belong to candidates by `objects` (see nanoaod.yaml and",
        "# physlite.yaml of search_spaces/data):",
        f"# layout: {{type: events, candidates: {_quoted(_collection(lists))}}}",
        "",
    ]


def _collection(lists: Sequence[InspectedBranch]) -> str:
    """Return how the branches of the likeliest list of candidates begin."""
    heads = Counter(_head(b) for b in lists)
    taus = [head for head in heads if "tau" in head.lower()]
    reconstructed = [head for head in taus if not _NOT_RECONSTRUCTED.search(head)]
    return max(reconstructed or taus or heads, key=lambda head: heads[head])


def _head(branch: InspectedBranch) -> str:
    """Return what stands before a branch's variable, with its separator: `Tau_`, `Taus.`"""
    name = branch.short or branch.name
    found = re.match(r".*\.|[^_]*_", name)
    return found[0] if found else name


def _samples(tables: Sequence[InspectedTable], weight: str) -> list[str]:
    lines = ["samples:"]
    taken: set[str] = set()
    for table in tables:
        path = json.dumps(glob.escape(str(table.path.absolute())), ensure_ascii=False)
        lines += [
            f"  {_quoted(_fresh(_name(table.path.stem), taken))}:",
            f"    files: [{path}]  # globs: *, ?, %d",
            f"    tree: {_quoted(table.name)}",
            f"    weight: {_quoted(weight)}  # with cross-section and luminosity, if known",
        ]
    return lines


def _classes(truth: Sequence[str]) -> list[str]:
    names = _printable(", ".join(truth[:12]))
    hint = f"look at {names}" if truth else "no branch looks like a truth label"
    return [
        "",
        "# Every candidate must be of exactly one class, for instance `is_tau == 1`:",
        f"# {hint}",
        "# Which of them a sample may hold, `classes: [signal]` in each sample says; without, all.",
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


def _features(branches: Sequence[InspectedBranch], *, indent: int, prefix: str = "") -> list[str]:
    taken: set[str] = set()
    lines = []
    for branch in branches:
        full = branch.short or branch.name
        short = full.removeprefix(prefix).lstrip("._") or full
        name = _fresh(_variable(short), taken)
        own = "" if name == branch.expression else f"expression: {_quoted(branch.expression)}, "
        comment = f"{branch.minimum:g} to {branch.maximum:g}" if branch.minimum is not None else ""
        comment += f", {branch.nans} of {branch.values} NaN" if branch.nans else ""
        start = f"{' ' * indent}{'# ' if branch.constant else ''}"  # a constant teaches nothing
        comment += ", constant: left out" if branch.constant else ""
        lines.append(f"{start}{_quoted(name)}: {{{own}scale: standard}}  # {comment}")
    return lines


def _shared_prefix(branches: Sequence[InspectedBranch]) -> str:
    """Return what stands before the dot in the names of all branches, if it is the same."""
    prefixes = {(branch.short or branch.name).rpartition(".")[0] for branch in branches}
    return f"{prefixes.pop()}." if len(prefixes) == 1 else ""


def _groups(branches: Sequence[InspectedBranch]) -> list[str]:
    """Group lists by prefix; within one prefix, only what counts the same objects goes together."""
    groups: dict[tuple[str, tuple[int, ...]], list[InspectedBranch]] = {}
    for branch in (b for b in branches if not b.constant):
        groups.setdefault((_prefix(branch), branch.objects), []).append(branch)
    lines = ["", "groups:"] if groups else []
    taken = {CANDIDATE}
    for (prefix, counts), members in groups.items():
        name = _fresh(_variable(prefix) or "objects", taken)
        taken.add(mask_name(name))
        pts = [b for b in members if _leaf(b.name).lower().endswith(("pt", "et"))]
        lines.append(f"  {_quoted(name)}:  # {min(counts)} to {max(counts)} a candidate")
        if pts:
            lines.append(f"    order_by: {_quoted(pts[0].expression)}")
        lines += ["    features:", *_features(members, indent=6, prefix=prefix)]
    return lines


def _prefix(branch: InspectedBranch) -> str:
    parts = re.split(r"[._:/]", branch.short or branch.name)
    return parts[0] if len(parts) > 1 else ""


def _spectators(scalars: Sequence[InspectedBranch]) -> list[str]:
    names = {_leaf(b.name).lower(): b.expression for b in reversed(scalars)}
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
    return text if plain else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    """Return text that stays within one comment."""
    return "".join(c if c.isprintable() else "?" for c in text)
