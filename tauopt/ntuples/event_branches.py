"""Find the branches of a tree of events that a candidate's variables need."""

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
    """The meaning of a name in an expression: a branch, or a computed variable of objects."""

    objects: str
    """Name of the objects; empty for branches of the event and of the candidate."""
    variable: str
    """The computed variable, one of `RESERVED`; empty for a branch."""
    branch: str
    """Empty for a computed variable."""


def reference(layout: EventLayout, name: str) -> Reference:
    """Resolve a name in an expression, such as `event`, `Tau_pt`, `jet.pt` or `jet.d_r`."""
    objects, dot, variable = name.partition(".")
    if not dot or objects not in layout.objects:
        return Reference("", "", name)
    if variable in RESERVED:
        return Reference(objects, variable, "")
    return Reference(objects, "", layout.objects[objects].collection + variable)


@dataclass
class NeededBranches:
    """Branches to read, and the problems with them."""

    depths: dict[str, int] = field(default_factory=dict)
    """Branch of numbers -> depth of its lists: 0, 1 or 2."""
    links: dict[str, int] = field(default_factory=dict)
    """Branch of ElementLinks -> depth of its lists: 1 or 2."""
    types: dict[str, str] = field(default_factory=dict)
    branches: dict[str, Any] = field(default_factory=dict)
    """uproot's branches by name; an ElementLink may be two of them, one for each member."""
    problems: dict[str, None] = field(default_factory=dict)
    """Messages, each once, in order."""


def find_branches(
    layout: EventLayout, names: Sequence[str], available: Mapping[str, Any]
) -> NeededBranches:
    """Find the branches that are needed to compute some variables of candidates.

    Args:
        layout: of the events.
        names: variables, as named in expressions.
        available: uproot's branches, by name.
    """
    needed = NeededBranches()
    references = {name: reference(layout, name) for name in names}
    known: list[str] = []
    if any(ref.branch and ref.branch not in available for ref in references.values()):
        known = [*available, *_object_variables(layout, available)]
    for name, ref in references.items():
        if ref.branch:
            _add(needed, ref.branch, available, name=name, known=known)
    used = {ref.objects: layout.objects[ref.objects] for ref in references.values() if ref.objects}
    with_distances = {ref.objects for ref in references.values() if ref.variable.startswith("d_")}
    for name, objects in used.items():
        if objects.index:
            _add(needed, objects.index, available, name=objects.index, known=list(available))
        for branch in objects.links:
            _add_link(needed, branch, available)
        if name in with_distances or objects.cone or objects.nearest:
            _add_directions(needed, layout, objects, available)
    for prefix in (layout.candidates, *(objects.collection for objects in used.values())):
        _add_anchor(needed, prefix, available)
    return needed


def _object_variables(layout: EventLayout, available: Mapping[str, Any]) -> Iterator[str]:
    """Yield all names `<objects>.<variable>` that expressions may use."""
    for name, objects in layout.objects.items():
        yield from (f"{name}.{variable}" for variable in RESERVED)
        for branch in available:
            if branch.startswith(objects.collection):
                yield f"{name}.{branch.removeprefix(objects.collection)}"


def _add_directions(
    needed: NeededBranches,
    layout: EventLayout,
    objects: AssociatedObjects,
    available: Mapping[str, Any],
) -> None:
    """Add the branches from which eta and phi of candidates and objects are computed."""
    for prefix, direction in ((layout.candidates, layout), (objects.collection, objects)):
        for variable in (*parse(direction.eta).branches, *parse(direction.phi).branches):
            branch = prefix + variable
            _add(needed, branch, available, name=branch, known=list(available))


def _add(
    needed: NeededBranches,
    branch: str,
    available: Mapping[str, Any],
    *,
    name: str,
    known: Sequence[str],
) -> None:
    """Add a branch of numbers; `name` is its name in the expression, `known` are all names."""
    if branch in needed.depths:
        return
    if branch not in available:
        also = f" (branch {branch!r})" if name != branch else ""
        needed.problems[f"no branch {name!r}{also}{nearest_branch(name, known)}"] = None
        return
    needed.types[branch] = typename(available[branch])
    depth = depth_of(available[branch])
    if depth is None:
        needed.problems[
            f"branch {branch!r} is {needed.types[branch]}, expected numbers in at most two lists"
        ] = None
    else:
        needed.depths[branch], needed.branches[branch] = depth, available[branch]


def _add_link(needed: NeededBranches, branch: str, available: Mapping[str, Any]) -> None:
    """Add the two members of an ElementLink, or the branch that holds both."""
    members = [f"{branch}.{member}" for member in (KEY, INDEX)]
    if all(member in available for member in members):
        for member in members:
            _add(needed, member, available, name=member, known=())
        depths = {needed.depths.get(member) for member in members}
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


def _add_anchor(needed: NeededBranches, prefix: str, available: Mapping[str, Any]) -> None:
    """Ensure that a branch of the collection is read, whose lengths count the objects."""
    if anchor_of(needed, prefix):
        return
    for name, branch in available.items():
        if name.startswith(prefix) and depth_of(branch) == 1:
            _add(needed, name, available, name=name, known=())
            return
    needed.problems[f"no branch of lists begins with {prefix!r}{nearest(prefix, available)}"] = None


def anchor_of(needed: NeededBranches, prefix: str) -> str:
    """Return the shallowest needed branch of lists of a collection; empty if there is none.

    The lengths of its lists count the objects of the collection.
    """
    depths = {name: d for name, d in needed.depths.items() if name.startswith(prefix) and d}
    return min(depths, key=depths.__getitem__, default="")


def depth_of(branch: Any) -> int | None:
    """Return the depth of a branch's lists of numbers, 0 to 2; None if it holds anything else."""
    jagged = is_jagged(branch)
    if jagged is not None:
        return int(jagged)
    values = _inner_values(branch)
    return 2 if getattr(values, "kind", "O") in "biuf" else None


def _depth_of_link(branch: Any) -> int | None:
    name = getattr(_inner_values(branch), "__name__", "")
    return 2 if "ElementLink" in name else None


def _inner_values(branch: Any) -> Any:
    """Return uproot's model of the items of a vector of vectors; None for other branches."""
    import uproot

    vector = getattr(branch.interpretation, "model", None)
    for _ in range(2):
        if not isinstance(vector, uproot.containers.AsVector):
            return None
        vector = vector.values
    return vector
