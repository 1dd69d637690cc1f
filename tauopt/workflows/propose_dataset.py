"""Propose a dataset file for inspected ntuples, as a draft to be edited."""

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
"""Placeholder of what the user decides; it is no expression, so `tauopt validate` rejects it."""

# Names of branches in lower case without underscores, the likeliest first.
_EVENT_NUMBERS = ("eventnumber", "mceventnumber", "event", "evt", "evtnumber", "eventid")
_WEIGHTS = ("weight", "eventweight", "mceventweight", "genweight", "mcweight")
_TRUTH = re.compile(r"truth|label|^is_?[a-z]|class|flavou?r|match|^gen|pdgid", re.IGNORECASE)
_MOST_NAMED = 5
"""Largest number of tables or branches that a message names."""
_NOT_RECONSTRUCTED = re.compile(r"truth|gen|hlt|trig", re.IGNORECASE)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def choose(tables: Sequence[InspectedTable]) -> list[InspectedTable]:
    """Choose the table of the candidates in each file.

    It is the table with most entries among those with numbers that vary. If a table of one name is
    in all files, it is taken in all, unless it has one entry only, as tables of metadata do.
    """
    files = list(dict.fromkeys(table.path for table in tables))
    names = {name: [t for t in tables if t.name == name] for name in (t.name for t in tables)}
    best = [max((t for t in tables if t.path == path), key=_rank) for path in files]
    shared = [same for same in names.values() if len(same) == len(files)]
    if shared:
        common = max(shared, key=lambda same: tuple(map(sum, zip(*map(_rank, same), strict=True))))
        if max(t.entries for t in common) > 1 or max(t.entries for t in best) < 2:
            return common
    return best


def _rank(table: InspectedTable) -> tuple[int, int, int]:
    """Return a key that ranks candidates above metadata: varying numbers, entries, branches."""
    numbers = [b for b in table.branches if b.values]
    varying = any(not b.constant for b in numbers)
    return int(varying), table.entries, len(numbers)


def propose(tables: Sequence[InspectedTable], *, others: Sequence[InspectedTable] = ()) -> str:
    """Return a commented dataset file, complete except for the selections of the classes.

    Args:
        tables: one of each file; branches that not all of them have are left out.
        others: the other tables of the files.
    Returns:
        YAML text; `FILL IN` marks what the user has to decide.
    Raises:
        DataError: no branch can be a feature; says why.
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
        raise DataError(_no_feature(tables[0], scalars, lists, left_out, others))
    listed = _printable(_listed(others))
    lines = [
        "# Proposed by `tauopt inspect --init` from the first entries of each file. Fill in what",
        f"# is marked with {FILL_IN}, delete what no network should see, look at the transforms;",
        "# then: tauopt validate <this file>",
        *([f"# Other trees, of which --tree chooses one: {listed}"] if others else []),
        f"name: {_quoted(_file_name(tables[0].path.stem))}",
        *_layout(lists),
        *_samples(tables, weight.expression if weight else "1"),
        *_classes([b.expression for b in truth]),
        *_event_number_and_splits(event.expression if event else ""),
        "candidate:",
        *_features(scalars, indent=2, prefix=_shared_prefix(scalars)),
        *_groups(lists),
        *_spectators(scalars),
    ]
    if left_out:
        lines += ["", "# Left out:"]
        lines += [f"#   {_printable(f'{name}: {reason}')}" for name, reason in left_out.items()]
    return "\n".join(lines) + "\n"


def _left_out(tables: Sequence[InspectedTable]) -> dict[str, str]:
    """Return branch of the first table -> reason why it can't be a feature."""
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


def _no_feature(
    table: InspectedTable,
    scalars: Sequence[InspectedBranch],
    lists: Sequence[InspectedBranch],
    left_out: Mapping[str, str],
    others: Sequence[InspectedTable],
) -> str:
    """Return the message why no branch of a table can be a feature, and what may help."""
    message = f"{table.path}: "
    if table.problem:
        message += table.problem
    elif not table.entries:
        message += f"{table.name!r} holds no entries"
    elif scalars:
        message += (
            f"no branch of {table.name!r} holds one number per candidate that is not the same in "
            f"the first {table.sampled} entries"
        )
    else:
        message += f"no branch of {table.name!r} holds one number per candidate"
    reasons = [f"{name!r}: {reason}" for name, reason in left_out.items()][:_MOST_NAMED]
    if reasons and not table.problem and table.entries:
        more = f", and {len(left_out) - _MOST_NAMED} more" if len(left_out) > _MOST_NAMED else ""
        message += f"; left out are {'; '.join(reasons)}{more}"
    if lists:
        message += (
            f"; its lists look like events: write a dataset file with `layout: {{type: events, "
            f"candidates: {_collection(lists)}}}` (see search_spaces/data/nanoaod.yaml)"
        )
    if others:
        message += f"; the file also has {_listed(others)}: choose one with --tree"
    return message


def _listed(tables: Sequence[InspectedTable]) -> str:
    names = dict.fromkeys(f"{t.name!r} ({t.entries} entries)" for t in tables)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join([*names][:_MOST_NAMED]) + more


def _leaf(name: str) -> str:
    """Return the last part of a branch's name: `pt` of `TauJetsAux.pt`."""
    return re.split(r"[./:#]", name)[-1]


def _guess(likely: Sequence[str], branches: Iterable[InspectedBranch]) -> InspectedBranch | None:
    """Return the branch with the first name in `likely` that a branch has; None if none has one."""
    by_name = {_leaf(b.name).replace("_", "").lower(): b for b in reversed([*branches])}
    return next((by_name[name] for name in likely if name in by_name), None)


def _layout(lists: Sequence[InspectedBranch]) -> list[str]:
    """Return a hint for ntuples of events, where lists may be candidates instead of objects."""
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
    """Return the prefix of the branches that most likely hold the candidates."""
    heads = Counter(_head(b) for b in lists)
    taus = [head for head in heads if "tau" in head.lower()]
    reconstructed = [head for head in taus if not _NOT_RECONSTRUCTED.search(head)]
    return max(reconstructed or taus or heads, key=lambda head: heads[head])


def _head(branch: InspectedBranch) -> str:
    """Return a branch's name up to its variable, with the separator (`Tau_`, `Taus.`)."""
    name = branch.short or branch.name
    head = re.match(r".*\.|[^_]*_", name)
    return head[0] if head else name


def _samples(tables: Sequence[InspectedTable], weight: str) -> list[str]:
    lines = ["samples:"]
    taken: set[str] = set()
    for table in tables:
        path = json.dumps(glob.escape(str(table.path.absolute())), ensure_ascii=False)
        lines += [
            f"  {_quoted(_unused(_file_name(table.path.stem), taken))}:",
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
        "# `classes: [signal]` in a sample names the classes that it may hold; the default is all.",
        "classes:",
        f"  background: {FILL_IN}",
        f"  signal: {FILL_IN}",
    ]


def _event_number_and_splits(event: str) -> list[str]:
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
    """Return a line for each feature, whose name is the branch's without `prefix`."""
    taken: set[str] = set()
    lines = []
    for branch in branches:
        full = branch.short or branch.name
        short = full.removeprefix(prefix).lstrip("._") or full
        name = _unused(_identifier(short), taken)
        is_name = name == branch.expression
        expression = "" if is_name else f"expression: {_quoted(branch.expression)}, "
        comment = f"{branch.minimum:g} to {branch.maximum:g}" if branch.minimum is not None else ""
        comment += f", {branch.nans} of {branch.values} NaN" if branch.nans else ""
        comment += ", constant: left out" if branch.constant else ""
        start = f"{' ' * indent}{'# ' if branch.constant else ''}"
        lines.append(f"{start}{_quoted(name)}: {{{expression}scale: standard}}  # {comment}")
    return lines


def _shared_prefix(branches: Sequence[InspectedBranch]) -> str:
    """Return the part up to the last dot that the names of all branches share; else empty."""
    prefixes = {(branch.short or branch.name).rpartition(".")[0] for branch in branches}
    return f"{prefixes.pop()}." if len(prefixes) == 1 else ""


def _groups(branches: Sequence[InspectedBranch]) -> list[str]:
    """Return the groups of objects: lists of one prefix with the same numbers of objects."""
    groups: dict[tuple[str, tuple[int, ...]], list[InspectedBranch]] = {}
    for branch in (b for b in branches if not b.constant):
        groups.setdefault((_prefix(branch), branch.objects), []).append(branch)
    lines = ["", "groups:"] if groups else []
    taken = {CANDIDATE}
    for (prefix, counts), members in groups.items():
        name = _unused(_identifier(prefix) or "objects", taken)
        taken.add(mask_name(name))
        pts = [b for b in members if _leaf(b.name).lower().endswith(("pt", "et"))]
        lines.append(f"  {_quoted(name)}:  # {min(counts)} to {max(counts)} a candidate")
        if pts:
            lines.append(f"    order_by: {_quoted(pts[0].expression)}")
        lines += ["    features:", *_features(members, indent=6, prefix=prefix)]
    return lines


def _prefix(branch: InspectedBranch) -> str:
    """Return the first part of a branch's name; empty if it has one part only."""
    parts = re.split(r"[._:/]", branch.short or branch.name)
    return parts[0] if len(parts) > 1 else ""


def _spectators(scalars: Sequence[InspectedBranch]) -> list[str]:
    names = {_leaf(b.name).lower(): b.expression for b in reversed(scalars)}
    known = {"pt": "pt", "eta": "eta", "mu": "mu", "prongs": "n_tracks"}
    present = {name: names.get(name) or names.get(other) for name, other in known.items()}
    lines = [f"  {name}: {_quoted(branch)}" for name, branch in present.items() if branch]
    comment = "# Kept for evaluation, never seen by networks."
    return ["", comment, "spectators:", *lines] if lines else []


def _file_name(text: str) -> str:
    """Return text as a valid name of a sample or a dataset."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:64] or "ntuples"


def _identifier(text: str) -> str:
    """Return text as a valid name of a feature or a group; empty stays empty."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text)
    return (f"_{name}" if name[:1].isdigit() else name)[:60]


def _unused(name: str, taken: set[str]) -> str:
    """Return `name`, with a number appended if it is taken, and add the result to `taken`."""
    unused, number = name, 2
    while unused in taken:
        unused, number = f"{name[:60]}_{number}", number + 1
    taken.add(unused)
    return unused


def _quoted(text: str) -> str:
    """Return text as a YAML scalar."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", text) and text.lower() not in _YAML_WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    """Return text without line breaks and control characters, for one line of comment."""
    return "".join(c if c.isprintable() else "?" for c in text)
