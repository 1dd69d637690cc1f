"""Checks between parts of a file: names that must exist elsewhere, and don't contradict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tauopt.config.checks.gate_checks import check_gate
from tauopt.config.checks.model_checks import check_sight, seen_groups
from tauopt.config.checks.working_point_checks import check_working_points
from tauopt.config.settings.experiment import ONE_OBJECTIVE
from tauopt.config.settings.inputs import CANDIDATE, mask_name
from tauopt.config.settings.networks.hypermodel import is_own
from tauopt.config.settings.objective import parse_objective
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, describe
from tauopt.errors import Problem, nearest

_COLUMNS = ("labels", "weights", "event_numbers")
"""What a prepared dataset calls its own columns; a spectator needs another name."""


def check_dataset(dataset: Node, *, above: str = "") -> Iterator[Problem]:
    """Check a dataset's names against each other.

    Args:
        dataset: its tree; parts of a wrong type are passed over.
        above: `data.` within an experiment, for messages.
    """
    classes = dataset.entries.get("classes")
    for name, sample in _entries(dataset, "samples"):
        yield from _among(_texts(sample, "classes"), classes, f"{above}samples.{name}.classes")
    reweight = dataset.entries.get("reweight")
    if reweight is not None:
        yield from _among(_texts(reweight, "to"), classes, f"{above}reweight.to")
    yield from _group_names(dataset, above)
    for name, _ in _entries(dataset, "proportions"):
        known = list(classes.entries) if classes is not None else [name]
        if name not in known:
            place = dataset.entries["proportions"].keys[name]
            yield place.problem(
                f"{above}proportions: unknown class {name!r}{nearest(name, known)}; "
                f"the dataset has {', '.join(known)}"
            )
    for name, _ in _entries(dataset, "spectators"):
        if name in _COLUMNS:
            place = dataset.entries["spectators"].keys[name]
            yield place.problem(f"{above}spectators.{name}: this name is taken; choose another")
    yield from _splits(dataset, above)


def _group_names(dataset: Node, above: str) -> Iterator[Problem]:
    groups = [name for name, _ in _entries(dataset, "groups")]
    for name in groups:
        taken = name == CANDIDATE or name in map(mask_name, groups)
        if taken:
            place = dataset.entries["groups"].keys[name]
            yield place.problem(f"{above}groups.{name}: this name is taken; choose another")


def _splits(dataset: Node, above: str) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, node in _entries(dataset, "split"):
        if name not in ("train", "validation", "test"):
            continue
        text = "".join(str(node.value).split())
        if text in seen:
            yield node.place.problem(
                f"{above}split.{name}: the same as {seen[text]}; splits must not overlap"
            )
        seen.setdefault(text, name)


def check_experiment(root: Node) -> Iterator[Problem]:
    """Check an experiment's names against its dataset's, and the task in itself.

    Args:
        root: the tree with the dataset in place; parts of a wrong type are passed over.
    """
    dataset = root.entries.get("data") or Node({}, root.place)
    task = root.entries.get("task") or Node({}, root.place)
    yield from check_dataset(dataset, above="data.")
    yield from _task_classes(task, dataset)
    yield from _signal(task)
    yield from _background(root, task)
    yield from _own_heads(root, task)
    yield from _class_weights(root, task)
    yield from _model_groups(root, dataset)
    yield from check_sight(root, dataset)
    yield from _objectives(root, dataset)
    yield from _after_training(root, task, dataset)
    yield from _sampler(root)


def _task_classes(task: Node, dataset: Node) -> Iterator[Problem]:
    classes = task.entries.get("classes")
    if classes is None:
        return
    members = _members(classes)
    yield from _among(members, dataset.entries.get("classes"), "task.classes")
    held = {
        node.value
        for _, sample in _entries(dataset, "samples")
        for node in _texts(sample, "classes")
    }
    known = dataset.entries.get("classes")
    seen: set[str] = set()
    for node in members:
        name = str(node.value)
        if held and name not in held and known is not None and name in known.entries:
            yield node.place.problem(f"task.classes: no sample of the dataset holds class {name!r}")
        if name in seen and classes.entries:
            yield node.place.problem(f"task.classes: {name!r} is in two task classes")
        seen.add(name)


def _members(classes: Node) -> list[Node]:
    if isinstance(classes.value, dict):
        return [node for _, names in classes.value.items() for node in _text_items(names)]
    return _text_items(classes)


def _signal(task: Node) -> Iterator[Problem]:
    classes, signal = task.entries.get("classes"), task.entries.get("signal")
    if classes is None or signal is None:
        return
    names = _task_class_names(classes)
    chosen = [str(node.value) for node in _text_items(signal)]
    for position, node in enumerate(_text_items(signal)):
        if names and node.value not in names:
            close = nearest(str(node.value), names)
            yield node.place.problem(
                f"task.signal: {describe(node.value)} is no task class{close}; "
                f"there are {', '.join(names)}"
            )
        elif node.value in chosen[:position]:
            yield node.place.problem(f"task.signal: {node.value!r} stands twice")


def _background(root: Node, task: Node) -> Iterator[Problem]:
    """Check what compares signal with background, or the classes of signal with each other."""
    classes, signal = task.entries.get("classes"), task.entries.get("signal")
    names = _task_class_names(classes) if classes is not None else []
    chosen = names if signal is None else [str(node.value) for node in _text_items(signal)]
    if not chosen or not set(chosen) <= set(names):
        return
    ways = len(set(chosen))
    if ways == len(names):
        yield from _without_background(root, task)
    heads, weight = task.entries.get("heads"), tree.get(root, ("training", "mode_weight"))
    if ways == len(names) or ways < 2:
        need = "needs background and at least two signal classes"
        if heads is not None and heads.value == "two":
            yield heads.place.problem(f"task.heads: two {need}")
        if weight is not None:
            yield weight.place.problem(f"training.mode_weight: it {need} in the task")


def _own_heads(root: Node, task: Node) -> Iterator[Problem]:
    heads, type_ = task.entries.get("heads"), tree.get(root, ("model", "type"))
    if heads is not None and heads.value == "two" and type_ is not None and is_own(type_.value):
        yield heads.place.problem(
            f"task.heads: two are those of built-in networks; {type_.value} makes its own output"
        )


def _without_background(root: Node, task: Node) -> Iterator[Problem]:
    signal, given = task.entries.get("signal"), tree.get(root, ("objective", "maximize"))
    why = "all task classes are signal" + (" as task.signal is left out" if signal is None else "")
    instead = "expected accuracy or balanced_accuracy"
    instead += ", or classes in task.signal" if signal is None else ""
    if given is None:
        place = signal.place if signal is not None else root.keys.get("task", task.place)
        yield place.problem(
            f"objective.maximize: rejection@0.75, the default, needs background, and {why}; "
            f"{instead}"
        )
        return
    for node in [given] if isinstance(given.value, str) else _text_items(given):
        try:
            needs = parse_objective(str(node.value)).needs_background
        except ValueError:
            continue
        if needs:
            yield node.place.problem(
                f"objective.maximize: {node.value} needs background, and {why}; {instead}"
            )


def _task_class_names(classes: Node) -> list[str]:
    return list(classes.entries) or [str(node.value) for node in _text_items(classes)]


def _class_weights(root: Node, task: Node) -> Iterator[Problem]:
    weights, classes = tree.get(root, ("training", "class_weights")), task.entries.get("classes")
    names = _task_class_names(classes) if classes is not None else []
    if weights is None or not names:
        return
    for name in weights.entries:
        if name not in names:
            yield weights.keys[name].problem(
                f"training.class_weights: unknown task class {name!r}{nearest(name, names)}; "
                f"there are {', '.join(names)}"
            )


def _model_groups(root: Node, dataset: Node) -> Iterator[Problem]:
    model, known = root.entries.get("model"), dataset.entries.get("groups")
    if model is None or "candidate" not in dataset.entries:
        return
    names = [name for name, _ in _entries(dataset, "groups")] if known is not None else []
    there = f"the dataset has {', '.join(names)}" if names else "the dataset has no groups"
    groups = model.entries.get("groups")
    if groups is not None:
        for name in groups.entries:
            if name not in names:
                yield groups.keys[name].problem(
                    f"model.groups: unknown group {name!r}{nearest(name, names)}; {there}"
                )
        return
    missing = [name for name in seen_groups(model) if name not in names]
    if missing:
        yield root.keys.get("model", model.place).problem(
            f"model.groups: the default groups {', '.join(missing)} are missing, "
            f"{there}; name the groups to use"
        )


def _objectives(root: Node, dataset: Node) -> Iterator[Problem]:
    node = tree.get(root, ("objective", "maximize"))
    if node is None or "candidate" not in dataset.entries:
        return
    spectators = [name for name, _ in _entries(dataset, "spectators")]
    for item in [node] if isinstance(node.value, str) else _text_items(node):
        try:
            prongs = parse_objective(str(item.value)).prongs
        except ValueError:
            continue
        if prongs is not None and "prongs" not in spectators:
            yield item.place.problem(
                f"objective.maximize: {item.value} needs the dataset's spectator `prongs`, "
                f"which is not there"
            )


def _after_training(root: Node, task: Node, dataset: Node) -> Iterator[Problem]:
    """Check what is done with a trained model: its working points, and the gate before it."""
    classes, signal = task.entries.get("classes"), task.entries.get("signal")
    names = _task_class_names(classes) if classes is not None else []
    chosen = names if signal is None else [str(node.value) for node in _text_items(signal)]
    known = names and set(chosen) <= set(names)
    background = [name for name in names if name not in chosen] if known else None
    there = "candidate" in dataset.entries
    spectators = [name for name, _ in _entries(dataset, "spectators")] if there else None
    yield from check_working_points(root, background=background, spectators=spectators)
    if gate := root.entries.get("promote"):
        yield from check_gate(gate, background=background, spectators=spectators, above="promote.")


def _sampler(root: Node) -> Iterator[Problem]:
    node = tree.get(root, ("search", "sampler", "type"))
    if node is None or node.value not in ONE_OBJECTIVE:
        return
    named = [tree.get(root, ("objective", key)) for key in ("maximize", "minimize")]
    several = [one for one in named if one is not None and one.value not in ((), None)]
    if len(several) > 1 or any(len(_text_items(one)) > 1 for one in several):
        yield node.place.problem(
            f"search.sampler.type: {node.value} knows one objective only, and there are several; "
            "expected tpe, gp, qmc or random"
        )


def _among(nodes: Iterable[Node], classes: Node | None, name: str) -> Iterator[Problem]:
    known = list(classes.entries) if classes is not None else []
    for node in nodes:
        if known and node.value not in known:
            yield node.place.problem(
                f"{name}: unknown class {describe(node.value)}{nearest(str(node.value), known)}; "
                f"the dataset has {', '.join(known)}"
            )


def _entries(node: Node, key: str) -> list[tuple[str, Node]]:
    return list(node.entries[key].entries.items()) if key in node.entries else []


def _texts(node: Node, key: str) -> list[Node]:
    return _text_items(node.entries[key]) if key in node.entries else []


def _text_items(node: Node) -> list[Node]:
    items = node.value if isinstance(node.value, tuple) else ()
    return [item for item in items if isinstance(item.value, str)]
