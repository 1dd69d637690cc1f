"""Checks of a promotion gate against the task and the dataset's spectators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tauopt.config.settings.objective import parse_objective
from tauopt.config.source import tree
from tauopt.config.source.yaml_source import Node
from tauopt.errors import Problem, nearest


def check_gate(
    gate: Node,
    *,
    background: Sequence[str] | None,
    spectators: Sequence[str] | None,
    above: str = "",
) -> Iterator[Problem]:
    """Check the metrics and spectators in a gate.

    Args:
        gate: the gate's tree; parts of a wrong type are ignored.
        background: task classes that are not signal; None if the task is invalid.
        spectators: names of the dataset's spectators; None if the dataset is invalid.
        above: prefix of settings' names in messages, `promote.` within an experiment.
    """
    for keys in (("floors",), ("regressions",)):
        yield from _metrics(gate, keys, above, background=background, spectators=spectators)
    bins = gate.entries.get("bins") or Node({}, gate.place)
    for name in bins.entries:
        if spectators is not None and name not in spectators:
            yield bins.keys[name].problem(
                f"{above}bins: unknown spectator {name!r}{nearest(name, spectators)}; "
                f"the dataset has {', '.join(spectators) or 'none'}"
            )
        path = ("bins", name, "regressions")
        yield from _metrics(gate, path, above, background=background, spectators=spectators)


def _metrics(
    gate: Node,
    keys: tuple[str, ...],
    above: str,
    *,
    background: Sequence[str] | None,
    spectators: Sequence[str] | None,
) -> Iterator[Problem]:
    node = tree.get(gate, keys)
    if node is None:
        return
    path = f"{above}{'.'.join(keys)}"
    written: dict[str, str] = {}
    for text in node.entries:
        place = node.keys[text]
        try:
            metric = parse_objective(text)
        except ValueError:
            continue  # reported with the settings
        # By its normal form, which is the key in the settings: two of them would be one there.
        if str(metric) in written:
            other = written[str(metric)]
            yield place.problem(f"{path}: {text!r} repeats {other!r}; leave one out")
        written[str(metric)] = text
        if background is not None and not background and metric.needs_background:
            yield place.problem(f"{path}: {text} needs background, and all classes are signal")
        if metric.prongs is not None and spectators is not None and "prongs" not in spectators:
            yield place.problem(
                f"{path}: {text} needs the dataset's spectator `prongs`, which is missing"
            )
