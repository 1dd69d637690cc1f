"""`tauopt schema`: print the JSON Schema of a configuration file, for editors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SchemaKind(StrEnum):
    """Kinds of configuration files."""

    experiment = "experiment"
    dataset = "dataset"


def schema(
    kind: Annotated[SchemaKind, typer.Argument(help="Kind of file.")] = SchemaKind.experiment,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write [default: stdout]."),
    ] = None,
) -> None:
    """Print the JSON Schema of experiment or dataset files: editors use it to complete and check.

    A file names its schema in its first line: `# yaml-language-server: $schema=FILE`.
    """
    from tauopt.cli.console import print_json
    from tauopt.config.settings.json_schema import dataset_schema, experiment_schema
    from tauopt.durable import write_json

    generated = experiment_schema() if kind is SchemaKind.experiment else dataset_schema()
    if output is None:
        print_json(generated)
    else:
        write_json(output, generated)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(schema)
