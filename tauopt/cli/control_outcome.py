"""What became of a search that was asked for something, as a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tauopt.workflows.control import ControlOutcome


def ask(
    asked: Callable[..., ControlOutcome], search: str | None, output: Path | None, *, json: bool
) -> None:
    """Ask a search for something, tell what is waited for, and print what became of it."""
    from tauopt.cli.console import progress

    with progress() as told:
        found = asked(search, output=output, progress=told)
    print_controlled(found, json=json)


def print_controlled(found: ControlOutcome, *, json: bool) -> None:
    """Print it to stdout, with the command that goes on with the search."""
    from tauopt.cli.console import print_json, results

    if json:
        print_json(asdict(found))
        return
    results().print(f"{found.name}: {found.told}", markup=False, soft_wrap=True)
    if found.resume:
        results().print(f"go on with: {found.resume}", markup=False, soft_wrap=True)
