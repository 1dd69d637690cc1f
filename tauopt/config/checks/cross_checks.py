"""Checks across parts of a file: names that must exist elsewhere, and settings that must agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tauopt.config.checks.gate_checks import check_gate
from tauopt.config.checks.model_checks import check_model_groups, check_model_inputs
from tauopt.config.checks.working_point_checks import check_working_points
from tauopt.config.settings.experiment import ONE_OBJECTIVE
from tauopt.config.settings.inputs import CANDIDATE, mask_name
from tauopt.config.settings.networks.hypermodel import is_own_type
from tauopt.config.settings.objective import ObjectiveName, parse_constraint, parse_objective
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node, describe
from tauopt.errors import Problem, nearest

_COLUMNS = ("labels", "weights", "event_numbers")
"""A prepared dataset's own columns, whose names no spectator may have."""


def check_dataset(dataset: Node, *, above: str = "") -> Iterator[Problem]:
    """Check a dataset's names against each other.

    Args:
        dataset: its tree; parts of a wrong type are ignored.
        above: prefix of settings' names in messages, `data.` within an experiment.
    """
    classes = dataset.entries.get("classes")
    for name, sample in _entries(dataset, "samples"):
        yield from _known_classes(
            _texts(sample, "classes"), classes, f"{above}samples.{name}.classes"
        )
    reweight = dataset.entries.get("reweight")
    if reweight is not None:
        yield from _known_classes(_texts(reweight, "to"), classes, f"{above}reweight.to")
    if (proportions := dataset.entries.get("proportions")) is not None:
        keys = [Node(name, proportions.keys[name]) for name in proportions.entries]
        yield from _known_classes(keys, classes, f"{above}proportions")
    masks = [mask_name(name) for name, _ in _entries(dataset, "groups")]
    for part, reserved in (("groups", [CANDIDATE, *masks]), ("spectators", _COLUMNS)):
        for name, _ in _entries(dataset, part):
            if name in reserved:
                place = dataset.entries[part].keys[name]
                yield place.problem(f"{above}{part}.{name}: this name is reserved; choose another")
    yield from _splits(dataset, above)


def _splits(dataset: Node, above: str) -> Iterator[Problem]:
    name_of: dict[str, str] = {}
    for name, node in _entries(dataset, "split"):
        if name not in ("train", "validation", "test"):
            continue
        expression = "".join(str(node.value).split())
        if expression in name_of:
            yield node.place.problem(
                f"{above}split.{name}: the same as {name_of[expression]}; splits must not overlap"
            )
        name_of.setdefault(expression, name)


def check_experiment(root: Node) -> Iterator[Problem]:
    """Check an experiment's names against its dataset's, and the task in itself.

    Args:
        root: the tree with the dataset in place; parts of a wrong type are ignored.
    """
    dataset = root.entries.get("data") or Node({}, root.place)
    task = root.entries.get("task") or Node({}, root.place)
    yield from check_dataset(dataset, above="data.")
    yield from _task_classes(task, dataset)
    yield from _signal(task)
    yield from _background(root, task)
    yield from _own_model_heads(root, task)
    yield from _class_weights(root, task)
    yield from check_model_groups(root, dataset)
    yield from check_model_inputs(root, dataset)
    yield from _objective_prongs(root, dataset)
    yield from _constraints(root, task, dataset)
    yield from _after_training(root, task, dataset)
    yield from _sampler(root)
    yield from _confirm(root)


def _task_classes(task: Node, dataset: Node) -> Iterator[Problem]:
    classes = task.entries.get("classes")
    if classes is None:
        return
    is_mapping = isinstance(classes.value, dict)
    members = (
        [node for names in classes.entries.values() for node in _text_items(names)]
        if is_mapping
        else _text_items(classes)
    )
    known = dataset.entries.get("classes")
    yield from _known_classes(members, known, "task.classes")
    held = {
        node.value
        for _, sample in _entries(dataset, "samples")
        for node in _texts(sample, "classes")
    }
    seen: set[str] = set()
    for node in members:
        name = str(node.value)
        if held and name not in held and known is not None and name in known.entries:
            yield node.place.problem(f"task.classes: no sample of the dataset holds class {name!r}")
        if name in seen and is_mapping:
            yield node.place.problem(f"task.classes: {name!r} is in two task classes")
        seen.add(name)


def _signal(task: Node) -> Iterator[Problem]:
    classes, signal = task.entries.get("classes"), task.entries.get("signal")
    if classes is None or signal is None:
        return
    names = _task_class_names(task)
    chosen = [str(node.value) for node in _text_items(signal)]
    for position, node in enumerate(_text_items(signal)):
        if names and node.value not in names:
            hint = nearest(str(node.value), names)
            yield node.place.problem(
                f"task.signal: {describe(node.value)} is not a task class{hint}; "
                f"there are {', '.join(names)}"
            )
        elif node.value in chosen[:position]:
            yield node.place.problem(f"task.signal: {node.value!r} appears twice")


def _background(root: Node, task: Node) -> Iterator[Problem]:
    """Check what compares signal with background, or the classes of signal with each other."""
    names, signal = _task_class_names(task), _signal_names(task)
    if not signal or not set(signal) <= set(names):
        return
    number = len(set(signal))
    if number == len(names):
        yield from _without_background(root, task)
    if number == len(names) or number < 2:
        heads, weight = task.entries.get("heads"), tree.get(root, ("training", "mode_weight"))
        expected = "background and at least two signal classes"
        if heads is not None and heads.value == "two":
            yield heads.place.problem(f"task.heads: two heads need {expected}")
        if weight is not None:
            yield weight.place.problem(f"training.mode_weight: needs {expected} in the task")


def _own_model_heads(root: Node, task: Node) -> Iterator[Problem]:
    heads, type_ = task.entries.get("heads"), tree.get(root, ("model", "type"))
    if heads is None or heads.value != "two" or type_ is None or not is_own_type(type_.value):
        return
    yield heads.place.problem(
        f"task.heads: two heads exist in built-in networks only; {type_.value} builds its own "
        "output; leave heads out"
    )


def _without_background(root: Node, task: Node) -> Iterator[Problem]:
    """Check that no objective needs background, in a task where all classes are signal."""
    signal, given = task.entries.get("signal"), tree.get(root, ("objective", "maximize"))
    reason, expected = (
        "all task classes are signal",
        "expected accuracy, balanced_accuracy or neg_log_loss",
    )
    if signal is None:
        reason += " as task.signal is left out"
        expected += ", or classes in task.signal"
    if given is None:
        place = signal.place if signal is not None else root.keys.get("task", task.place)
        yield place.problem(
            f"objective.maximize: rejection@0.75, the default, needs background, and {reason}; "
            f"{expected}"
        )
        return
    for node in [given] if isinstance(given.value, str) else _text_items(given):
        try:
            needs_background = parse_objective(str(node.value)).needs_background
        except ValueError:
            continue  # reported with the settings
        if needs_background:
            yield node.place.problem(
                f"objective.maximize: {node.value} needs background, and {reason}; {expected}"
            )


def _constraints(root: Node, task: Node, dataset: Node) -> Iterator[Problem]:
    """Check that each constrained quantity can be measured on this task and this dataset."""
    constraints = tree.get(root, ("objective", "constraints"))
    if constraints is None:
        return
    names, signal = _task_class_names(task), _signal_names(task)
    spectators = _spectators(dataset)
    for name, place in constraints.keys.items():
        try:
            quantity = parse_constraint(name)
        except ValueError:
            continue  # reported with the settings
        where = f"objective.constraints: {name}"
        if quantity is None and tree.get(dataset, ("resample",)) is not None:
            yield place.problem(
                f"{where} compares training with validation candidates, but `resample` draws the "
                "former anew; leave one out"
            )
        if not isinstance(quantity, ObjectiveName):
            continue
        if quantity.needs_background and names and set(names) == set(signal):
            yield place.problem(f"{where} needs background, and all task classes are signal")
        if quantity.prongs is not None and spectators is not None and "prongs" not in spectators:
            yield place.problem(f"{where} needs the dataset's spectator `prongs`, which is missing")


def _class_weights(root: Node, task: Node) -> Iterator[Problem]:
    weights, names = tree.get(root, ("training", "class_weights")), _task_class_names(task)
    if weights is None or not names:
        return
    for name in weights.entries:
        if name not in names:
            yield weights.keys[name].problem(
                f"training.class_weights: unknown task class {name!r}{nearest(name, names)}; "
                f"there are {', '.join(names)}"
            )


def _objective_prongs(root: Node, dataset: Node) -> Iterator[Problem]:
    node, spectators = tree.get(root, ("objective", "maximize")), _spectators(dataset)
    if node is None or spectators is None or "prongs" in spectators:
        return
    for item in [node] if isinstance(node.value, str) else _text_items(node):
        try:
            prongs = parse_objective(str(item.value)).prongs
        except ValueError:
            continue  # reported with the settings
        if prongs is not None:
            yield item.place.problem(
                f"objective.maximize: {item.value} needs the dataset's spectator `prongs`, "
                f"which is missing"
            )


def _after_training(root: Node, task: Node, dataset: Node) -> Iterator[Problem]:
    """Check the use of a trained model: working points and promotion gate."""
    names, signal = _task_class_names(task), _signal_names(task)
    is_known = names and set(signal) <= set(names)
    background = [name for name in names if name not in signal] if is_known else None
    spectators = _spectators(dataset)
    yield from check_working_points(root, background=background, spectators=spectators)
    if gate := root.entries.get("promote"):
        yield from check_gate(gate, background=background, spectators=spectators, above="promote.")


def _sampler(root: Node) -> Iterator[Problem]:
    node = tree.get(root, ("search", "sampler", "type"))
    if node is not None and node.value in ONE_OBJECTIVE and _has_several_objectives(root):
        yield node.place.problem(
            f"search.sampler.type: {node.value} supports one objective only, and there are "
            "several; expected tpe, gp, qmc or random"
        )


def _confirm(root: Node) -> Iterator[Problem]:
    node = tree.get(root, ("search", "confirm", "prefer"))
    if node is not None and node.value == "cheapest" and _has_several_objectives(root):
        yield node.place.problem(
            "search.confirm.prefer: with several objectives none is tied, the front shows what "
            "each costs; leave it out"
        )


def _has_several_objectives(root: Node) -> bool:
    metrics = tree.get(root, ("objective", "maximize"))  # left out it is one
    costs = tree.get(root, ("objective", "minimize"))
    has_cost = costs is not None and costs.value not in ((), [], None)
    return has_cost or (metrics is not None and len(_text_items(metrics)) > 1)


def _task_class_names(task: Node) -> list[str]:
    """Return the names of the task classes; empty if they are missing or of a wrong type."""
    classes = task.entries.get("classes")
    if classes is None:
        return []
    return list(classes.entries) or [str(node.value) for node in _text_items(classes)]


def _signal_names(task: Node) -> list[str]:
    """Return the task classes that are signal: all of them if `signal` is left out."""
    signal = task.entries.get("signal")
    if signal is None:
        return _task_class_names(task)
    return [str(node.value) for node in _text_items(signal)]


def _spectators(dataset: Node) -> list[str] | None:
    """Return the names of the dataset's spectators; None if the dataset could not be read."""
    if CANDIDATE not in dataset.entries:
        return None
    return [name for name, _ in _entries(dataset, "spectators")]


def _known_classes(nodes: Iterable[Node], classes: Node | None, name: str) -> Iterator[Problem]:
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
