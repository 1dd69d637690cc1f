"""Checks of a promotion gate against the task and the dataset's spectators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tauopt.config.settings.objective import ObjectiveName, parse_objective
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
    """Check the names that a gate uses.

    Args:
        gate: its tree; parts of a wrong type are passed over.
        background: task classes that are no signal; None if the task can't be told.
        spectators: of the dataset; None if it can't be told.
        above: `promote.` within an experiment, for messages.
    """
    for keys in (("floors",), ("regressions",)):
        yield from _metrics(gate, keys, above, background=background, spectators=spectators)
    bins = gate.entries.get("bins") or Node({}, gate.place)
    for name in bins.entries:
        if spectators is not None and name not in spectators:
            there = f"the dataset has {', '.join(spectators) or 'none'}"
            yield bins.keys[name].problem(
                f"{above}bins: unknown spectator {name!r}{nearest(name, spectators)}; {there}"
            )
        within = ("bins", name, "regressions")
        yield from _metrics(gate, within, above, background=background, spectators=spectators)


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
    seen: dict[str, str] = {}
    for text in node.entries:
        name = _parsed(text)
        if name is None:
            continue
        where, place = f"{above}{'.'.join(keys)}", node.keys[text]
        if str(name) in seen:
            yield place.problem(f"{where}: {text!r} is {seen[str(name)]!r} once more")
        seen[str(name)] = text
        if background is not None and not background and name.needs_background:
            yield place.problem(f"{where}: {text} needs background, and all classes are signal")
        if name.prongs is not None and spectators is not None and "prongs" not in spectators:
            yield place.problem(
                f"{where}: {text} needs the dataset's spectator `prongs`, which is not there"
            )


def _parsed(text: str) -> ObjectiveName | None:
    try:
        return parse_objective(text)
    except ValueError:
        return None  # told with the settings
