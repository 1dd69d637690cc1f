"""`tauopt models`: list the built-in networks, or the settings of one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.options import Json

if TYPE_CHECKING:
    from tauopt.config.settings.network_catalogue import CatalogueEntry, Knob


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Network whose settings to list.")
    ] = None,
    json: Json = False,
) -> None:
    """List the networks, or all settings of one network with their allowed values."""
    from tauopt.cli.console import print_json
    from tauopt.workflows.models import list_models, list_settings

    if name is None:
        entries = list_models()
        print_json([asdict(entry) for entry in entries]) if json else _print_models(entries)
    else:
        settings = list_settings(name)
        print_json(list(map(asdict, settings))) if json else _print_settings(name, settings)


def _print_models(entries: list[CatalogueEntry]) -> None:
    from rich.table import Table

    from tauopt.cli.console import results

    table = Table("type", "what it is", "groups by default", "parameters", "source")
    for entry in entries:
        groups = ", ".join(f"{name} {length}" for name, length in entry.groups.items())
        table.add_row(entry.type, entry.what, groups, f"{entry.parameters:,}", entry.source)
    console = results()
    console.print(table)
    console.print(
        "parameters: with default settings, two classes and the features of the demo sample; your "
        "own model: `type: module:Class`; settings of one network: tauopt models NAME",
        markup=False,
    )


def _print_settings(name: str, settings: list[Knob]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tauopt.cli.console import results

    columns = ("setting", "allowed", "default", "usual range", "what it does")
    table = Table(*columns, title=f"type: {name}")
    for knob in settings:
        default = "" if knob.default in ("", ()) else str(knob.default).lower()
        table.add_row(knob.path, knob.values, default, escape(knob.usual), knob.what)
    console = results()
    console.print(table)
    console.print(
        "each setting is a value or a range: {int: [4, 15]}, {float: [0.1, 0.4], log: true}, "
        "{choice: [lstm, gru]}; <group> is a group of the dataset file",
        markup=False,
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(models)
