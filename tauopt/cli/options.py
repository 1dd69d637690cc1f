"""Options that several verbs share, spelled the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Folder of searches, runs and studies [default: tauopt-output]."
    ),
]
Search = Annotated[
    str | None, typer.Argument(metavar="[SEARCH]", help="Its name [default: the latest].")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override any value of the file; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
