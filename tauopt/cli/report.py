"""`tauopt report`: write the figures of a search and one HTML page about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, SearchName


def report(
    search: SearchName = None,
    output: Output = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Folder of the report [default: report, in the search's folder]."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the report of a search that runs or has ended: figures and one HTML page."""
    from tauopt.cli.console import print_json, results
    from tauopt.workflows.report import report as write

    written = write(search, output=output, to=to)
    if json:
        files = [str(path) for path in written.files]
        print_json({"page": files[0], "files": files, "problems": written.problems})
        return
    results().print(str(written.page), markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(report)
