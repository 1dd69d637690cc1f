"""`tauopt submit`: a search as a job of Slurm or HTCondor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, Overrides


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file with ranges.")],
    slurm: Annotated[bool, typer.Option("--slurm", help="Write a job for Slurm.")] = False,
    htcondor: Annotated[bool, typer.Option("--htcondor", help="Write one for HTCondor.")] = False,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of each.")] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each.")] = 0,
    memory_gb: Annotated[int, typer.Option(min=1, help="Memory of each.")] = 32,
    hours: Annotated[float, typer.Option(min=0.05, help="Longest time of the job.")] = 24.0,
    image: Annotated[
        Path | None,
        typer.Option(metavar="SIF", help="Apptainer image [default: this environment]."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="More for the batch system; repeatable."),
    ] = None,
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the search [default: the experiment's].")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Submit it too.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write what runs a search on a batch system: its own Ray cluster, which goes on if evicted."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, results
    from tauopt.errors import UsageError
    from tauopt.workflows.submit import BatchRequest
    from tauopt.workflows.submit import submit as write

    if slurm == htcondor:
        raise UsageError("expected one of --slurm and --htcondor")
    found = write(
        file,
        "slurm" if slurm else "htcondor",
        machines=BatchRequest(nodes, cpus, gpus, memory_gb, hours),
        overrides=overrides or (),
        name=name,
        output=output,
        image=image,
        options=option or (),
        now=now,
    )
    if json:
        print_json({**asdict(found), "folder": str(found.folder)})
        return
    trials = "1 trial" if found.concurrent == 1 else f"{found.concurrent} trials"
    lines = [f"{found.name}: {trials} at a time; scripts in {found.folder}"]
    lines.append(found.told or f"submit: {found.command}")
    place = f" -o {output}" if output else ""
    lines.append(f"look: tauopt status {found.name}{place}")
    for line in lines:
        results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(submit)
