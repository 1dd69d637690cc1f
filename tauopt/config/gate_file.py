"""Reading of a promotion gate from a separate file: `tauopt promote RUN --gate promote.yaml`."""

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
"""Section of an experiment file; a separate gate file may have this section or its content."""


@dataclass(frozen=True)
class GateFile:
    """A gate, and its tree for the places of problems that `check_fits` finds."""

    gate: Gate
    root: Node
    above: str
    """`promote.` if the gate is in a section, else empty; for messages."""


def read_gate(path: Path) -> GateFile:
    """Read a gate: a file with the section `promote` of an experiment, or with its content only.

    Raises:
        ConfigError: the file is wrong; the error has all problems with their places.
    """
    root, problems = read_tree(path)
    section = root.entries.get(SECTION)
    above = () if section is None else (SECTION,)
    node = root if section is None else section
    gate, gate_problems = check(Gate, node.plain(), root=node, above=above)
    if problems or gate is None:
        raise ConfigError([*problems, *gate_problems])
    return GateFile(gate, node, "".join(f"{part}." for part in above))


def check_fits(file: GateFile, experiment: Experiment) -> None:
    """Check that a gate's metrics and spectators exist in a trial's task and dataset.

    Raises:
        ConfigError: some do not; the error has all problems with their places.
    """
    problems = list(
        check_gate(
            file.root,
            background=experiment.task.background,
            spectators=list(experiment.data.spectators),
            above=file.above,
        )
    )
    if problems:
        raise ConfigError(problems)
