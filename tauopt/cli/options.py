"""Options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Folder of searches, runs and studies [default: tauopt-output]."
    ),
]
SearchName = Annotated[
    str | None,
    typer.Argument(metavar="[SEARCH]", help="Name of the search [default: the latest one]."),
]


def _set_ray_address(address: str | None) -> str | None:
    if address:
        os.environ["RAY_ADDRESS"] = address
    return address


RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        callback=_set_ray_address,
        help="Ray cluster to join [default: RAY_ADDRESS, else only this machine].",
    ),
]
"""Sets `RAY_ADDRESS` for the whole process; verbs ignore the value itself."""
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a value of the file; repeatable."),
]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Resume although file, data or code changed.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Efficiency = Annotated[
    list[str] | None,
    typer.Option(
        "--efficiency",
        metavar="E,...",
        help="Signal efficiencies of working points and rejections [default: 0.6,0.75,0.85,0.95].",
    ),
]
