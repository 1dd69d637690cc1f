"""`tauopt validate`: check experiment and dataset files before a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tauopt.cli.options import Json, Overrides

if TYPE_CHECKING:
    from rich.console import Console

    from tauopt.workflows.validate import ValidFile


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Experiment or dataset files.")
    ],
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Check experiment and dataset files: print OK with a summary, or all problems with lines."""
    from tauopt.cli.console import print_json, results
    from tauopt.errors import ConfigError
    from tauopt.workflows.validate import validate_all

    valid, problems = validate_all(files, overrides=overrides or [])
    if json:
        print_json(
            {
                "files": [_plain(file) for file in valid],
                "problems": [vars(problem) for problem in problems],
            }
        )
    else:
        for file in valid:
            _print(results(), file)
    if problems:
        raise ConfigError(problems)


def _print(console: Console, file: ValidFile) -> None:
    from tauopt.config.settings.ranges import as_text

    console.print(f"OK {file.path}: {file.kind} {file.name}: {file.summary}", markup=False)
    width = max(map(len, [*file.ranges, *file.inactive]), default=0)
    for path, text in file.ranges.items():
        start = f" (starts at {as_text(file.defaults[path])})" if path in file.defaults else ""
        console.print(f"   {path:<{width}}  {text}{start}", markup=False)
    for path, reason in file.inactive.items():
        console.print(f"   {path:<{width}}  not searched: {reason}", markup=False)


def _plain(file: ValidFile) -> dict[str, Any]:
    return {**vars(file), "path": str(file.path)}


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(validate)
