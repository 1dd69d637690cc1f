"""A promotion gate in a file of its own: `tauopt promote RUN --gate promote.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tauopt.config.checks.gate_checks import check_gate
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.gate import Gate
from tauopt.config.settings.problems import check
from tauopt.config.source.compose import read_tree
from tauopt.config.source.yaml_source import Node
from tauopt.errors import ConfigError

SECTION = "promote"
"""Of an experiment file; a file of its own may begin with it or go without."""


@dataclass(frozen=True)
class GateFile:
    """A gate as read, and its tree for the places of what is found wrong later."""

    gate: Gate
    root: Node
    above: str


def read_gate(path: Path) -> GateFile:
    """Read a gate: the content of an experiment's section `promote`, or a file with that section.

    Raises:
        ConfigError: the file is wrong; every problem with its place.
    """
    root, problems = read_tree(path)
    section = root.entries.get(SECTION)
    above = () if section is None else (SECTION,)
    node = root if section is None else section
    gate, wrong = check(Gate, node.plain(), root=node, above=above)
    if problems or gate is None:
        raise ConfigError([*problems, *wrong])
    return GateFile(gate, node, "".join(f"{part}." for part in above))


def check_fits(file: GateFile, experiment: Experiment) -> None:
    """Check that a trial's dataset and task have what a gate asks for.

    Raises:
        ConfigError: they have not; every problem with its place.
    """
    problems = check_gate(
        file.root,
        background=experiment.task.background,
        spectators=list(experiment.data.spectators),
        above=file.above,
    )
    if found := list(problems):
        raise ConfigError(found)
