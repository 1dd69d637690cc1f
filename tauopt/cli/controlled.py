"""What became of a search that was asked for something, as a line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tauopt.workflows.control import Controlled


def print_controlled(found: Controlled, *, json: bool) -> None:
    """Print it to stdout, with the command that goes on with the search."""
    from tauopt.cli.console import print_json, results

    if json:
        print_json(asdict(found))
        return
    results().print(f"{found.name}: {found.told}", markup=False, soft_wrap=True)
    if found.resume:
        results().print(f"go on with: {found.resume}", markup=False, soft_wrap=True)
