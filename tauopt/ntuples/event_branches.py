"""The branches of a tree of events that some candidate-level names need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tauopt.config.settings.layout import RESERVED, AssociatedObjects, EventLayout
from tauopt.errors import nearest
from tauopt.ntuples.root_files import is_jagged, typename
from tauopt.physics.branch_names import nearest_branch
from tauopt.physics.expressions import parse

KEY, INDEX = "m_persKey", "m_persIndex"
"""The two members of an ElementLink."""


class Reference(NamedTuple):
    """What a name of an expression means: a branch, or something of an object."""

    objects: str
    """Name of the objects; empty for branches of the event and of the candidate."""
    variable: str
    """One of `RESERVED`, or empty."""
    branch: str
    """Empty for what is computed."""


def reference(layout: EventLayout, name: str) -> Reference:
    """Say what a name of an expression means."""
    objects, dot, variable = name.partition(".")
    if not dot or objects not in layout.objects:
        return Reference("", "", name)
    if variable in RESERVED:
        return Reference(objects, variable, "")
    return Reference(objects, "", layout.objects[objects].collection + variable)


@dataclass
class Needed:
    """Branches to read, and what is wrong with them."""

    depths: dict[str, int] = field(default_factory=dict)
    """Branch of numbers -> lists in which they stand: 0, 1 or 2."""
    links: dict[str, int] = field(default_factory=dict)
    """Branch of ElementLinks -> lists in which they stand: 1 or 2."""
    types: dict[str, str] = field(default_factory=dict)
    branches: dict[str, Any] = field(default_factory=dict)
    """What uproot reads, by name; a link's members may be two of them."""
    problems: dict[str, None] = field(default_factory=dict)
    """Each once, in order."""


def find_branches(
    layout: EventLayout, names: Sequence[str], available: Mapping[str, Any]
) -> Needed:
    """Find the branches that some names need.

    Args:
        layout: of the events.
        names: as expressions call them.
        available: uproot's branches, by name.
    """
    needed = Needed()
    references = {name: reference(layout, name) for name in names}
    known = [*available, *_virtual(layout, available)] if _missing(references, available) else []
    for name, of in references.items():
        if of.branch:
            _add(needed, of.branch, available, called=name, known=known)
    used = {of.objects: layout.objects[of.objects] for of in references.values() if of.objects}
    distances = [of for of in references.values() if of.variable.startswith("d_")]
    for name, objects in used.items():
        for branch in _by(objects):
            _add(needed, branch, available, called=branch, known=list(available))
        for branch in objects.links:
            _add_link(needed, branch, available)
        far = any(of.objects == name for of in distances)
        if far or objects.cone or objects.nearest:
            _add_directions(needed, layout, objects, available)
    for prefix in (layout.candidates, *(objects.collection for objects in used.values())):
        _add_anchor(needed, prefix, available)
    return needed


def _missing(references: Mapping[str, Reference], available: Mapping[str, Any]) -> bool:
    return any(of.branch and of.branch not in available for of in references.values())


def _virtual(layout: EventLayout, available: Mapping[str, Any]) -> Iterator[str]:
    """Name all that expressions could call of objects."""
    for name, objects in layout.objects.items():
        yield from (f"{name}.{variable}" for variable in RESERVED)
        for branch in available:
            if branch.startswith(objects.collection):
                yield f"{name}.{branch.removeprefix(objects.collection)}"


def _by(objects: AssociatedObjects) -> tuple[str, ...]:
    return (objects.index,) if objects.index else ()


def direction_branches(prefix: str, eta: str, phi: str) -> tuple[str, ...]:
    """Return the branches that the direction of a collection's objects reads."""
    variables = dict.fromkeys((*parse(eta).branches, *parse(phi).branches))
    return tuple(prefix + variable for variable in variables)


def _add_directions(
    needed: Needed, layout: EventLayout, objects: AssociatedObjects, available: Mapping[str, Any]
) -> None:
    for prefix, of in ((layout.candidates, layout), (objects.collection, objects)):
        for branch in direction_branches(prefix, of.eta, of.phi):
            _add(needed, branch, available, called=branch, known=list(available))


def _add(
    needed: Needed,
    branch: str,
    available: Mapping[str, Any],
    *,
    called: str,
    known: Sequence[str],
) -> None:
    if branch in needed.depths:
        return
    if branch not in available:
        also = f" (branch {branch!r})" if called != branch else ""
        needed.problems[f"no branch {called!r}{also}{nearest_branch(called, known)}"] = None
        return
    needed.types[branch] = typename(available[branch])
    depth = depth_of(available[branch])
    if depth is None:
        needed.problems[
            f"branch {branch!r} is {needed.types[branch]}, expected numbers in at most two lists"
        ] = None
    else:
        needed.depths[branch], needed.branches[branch] = depth, available[branch]


def _add_link(needed: Needed, branch: str, available: Mapping[str, Any]) -> None:
    """Take the two members of a link, or the branch that holds both."""
    parts = [f"{branch}.{part}" for part in (KEY, INDEX)]
    if all(part in available for part in parts):
        for part in parts:
            _add(needed, part, available, called=part, known=())
        depths = {needed.depths.get(part) for part in parts}
        depth = depths.pop() if len(depths) == 1 else None
    elif branch in available:
        depth = _depth_of_link(available[branch])
        needed.branches[branch] = available[branch]
    else:
        needed.problems[f"no branch {branch!r}{nearest(branch, available)}"] = None
        return
    if depth in (1, 2):
        needed.links[branch] = depth
    else:
        kind = available[branch].typename if branch in available else "something else"
        needed.problems[f"branch {branch!r} is {kind}, expected lists of ElementLinks"] = None


def _add_anchor(needed: Needed, prefix: str, available: Mapping[str, Any]) -> None:
    """Make sure that some branch of a collection is read, which tells how many there are."""
    if anchor_of(needed, prefix):
        return
    for name, branch in available.items():
        if name.startswith(prefix) and depth_of(branch) == 1:
            _add(needed, name, available, called=name, known=())
            return
    needed.problems[f"no branch of lists begins with {prefix!r}{nearest(prefix, available)}"] = None


def anchor_of(needed: Needed, prefix: str) -> str:
    """Return a branch of numbers of a collection, the shallowest; empty if none is read."""
    own = {name: d for name, d in needed.depths.items() if name.startswith(prefix) and d}
    return min(own, key=own.__getitem__, default="")


def depth_of(branch: Any) -> int | None:
    """Say in how many lists the numbers of a branch stand; None if they are none, or too many."""
    jagged = is_jagged(branch)
    if jagged is not None:
        return int(jagged)
    values = _inner_values(branch)
    return 2 if getattr(values, "kind", "O") in "biuf" else None


def _depth_of_link(branch: Any) -> int | None:
    name = getattr(_inner_values(branch), "__name__", "")
    return 2 if "ElementLink" in name else None


def _inner_values(branch: Any) -> Any:
    """Return uproot's model of what stands in a vector of vectors; None if it is none."""
    import uproot

    vector = getattr(branch.interpretation, "model", None)
    for _ in range(2):
        if not isinstance(vector, uproot.containers.AsVector):
            return None
        vector = vector.values
    return vector
