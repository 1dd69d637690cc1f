"""`tauopt inspect`: list the branches of ntuples, or propose a dataset file for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.options import Json

if TYPE_CHECKING:
    from tauopt.workflows.inspect import InspectedBranch, InspectedTable


def inspect(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="ROOT, HDF5, Parquet or Feather files.")
    ],
    tree: Annotated[str, typer.Option(help="Tree, dataset or group [default: all].")] = "",
    entries: Annotated[int, typer.Option(min=1, help="Entries whose values are read.")] = 1000,
    init: Annotated[
        bool, typer.Option("--init", help="Print a dataset file to start from.")
    ] = False,
    json: Json = False,
) -> None:
    """Show branches, types, ranges, NaNs and first rows; `--init` proposes a dataset file."""
    from tauopt.cli.console import print_json
    from tauopt.workflows.inspect import inspect_files, raise_all
    from tauopt.workflows.propose_dataset import choose, propose

    tables, problems = inspect_files(files, tree=tree, sample=entries)
    if init:
        raise_all(problems)
        chosen = choose(tables)
        others = [table for table in tables if table not in chosen]
        typer.echo(propose(chosen, others=others), nl=False)
        return
    if json:
        print_json([_plain(table) for table in tables])
    else:
        for table in tables:
            _print(table)
    raise_all(problems)


def _plain(table: InspectedTable) -> dict[str, Any]:
    return {
        "path": str(table.path),
        "table": table.name,
        "entries": table.entries,
        "sampled": table.sampled,
        "problem": table.problem,
        "branches": [_plain_branch(branch) for branch in table.branches],
    }


def _plain_branch(branch: InspectedBranch) -> dict[str, Any]:
    plain = {k: v for k, v in vars(branch).items() if k not in ("objects", "first")}
    counts = branch.objects
    return {
        **plain,
        "expression": branch.expression,
        "objects": {"minimum": min(counts), "maximum": max(counts)} if counts else None,
        "first": [_finite(value) for value in branch.first],
    }


def _finite(value: Any) -> Any:
    """Return a value with NaN and infinities, which JSON does not have, as text."""
    if isinstance(value, (list, tuple)):
        return [_finite(element) for element in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print(table: InspectedTable) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tauopt.cli.console import results

    console = results()
    title = f"{table.path}: {table.name}: {table.entries} entries"
    console.print(f"{title}, values of the first {table.sampled}", markup=False, soft_wrap=True)
    if table.problem:
        console.print(f"values can't be read: {table.problem}", markup=False, soft_wrap=True)
    grid = Table("branch", "type", "objects", "minimum", "maximum", "NaN", "first entries")
    for branch in table.branches:
        grid.add_row(*map(escape, _row(branch)))
    console.print(grid)


def _row(branch: InspectedBranch) -> tuple[str, ...]:
    counts = f"{min(branch.objects)} to {max(branch.objects)}" if branch.objects else ""
    if branch.problem:
        return branch.expression, branch.type, "", "", "", "", branch.problem
    ends = [f"{end:g}" if end is not None else "" for end in (branch.minimum, branch.maximum)]
    first = "; ".join(_short(value) for value in branch.first)
    return branch.expression, branch.type, counts, *ends, str(branch.nans or ""), first


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_short(element) for element in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(inspect)
