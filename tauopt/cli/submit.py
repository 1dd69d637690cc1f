"""`tauopt submit`: write a search as a batch job of Slurm or HTCondor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tauopt.cli.options import Json, Output, Overrides


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file with ranges.")],
    slurm: Annotated[bool, typer.Option("--slurm", help="Write a Slurm job.")] = False,
    htcondor: Annotated[bool, typer.Option("--htcondor", help="Write an HTCondor job.")] = False,
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of each machine.")] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each machine.")] = 0,
    memory_gb: Annotated[int, typer.Option(min=1, help="Memory of each machine, GB.")] = 32,
    hours: Annotated[float, typer.Option(min=0.05, help="Time limit of the job, hours.")] = 24.0,
    image: Annotated[
        Path | None,
        typer.Option(metavar="SIF", help="Apptainer image [default: this environment]."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Further option of the batch system; repeatable."),
    ] = None,
    overrides: Overrides = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the search [default: the experiment's name]."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Also submit the job.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write a batch job that runs a search on a Ray cluster of its own, and resumes if evicted."""
    from dataclasses import asdict

    from tauopt.cli.console import print_json, results
    from tauopt.errors import UsageError
    from tauopt.workflows.submit import BatchRequest
    from tauopt.workflows.submit import submit as write

    if slurm == htcondor:
        raise UsageError(
            f"expected one of --slurm and --htcondor, got {'both' if slurm else 'neither'}"
        )
    job = write(
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
        print_json({**asdict(job), "folder": str(job.folder)})
        return
    trials = "1 trial" if job.concurrent == 1 else f"{job.concurrent} trials"
    lines = [f"{job.name}: {trials} at a time; scripts in {job.folder}"]
    lines.append(job.told or f"submit: {job.command}")
    output_option = f" -o {output}" if output else ""
    lines.append(f"look: tauopt status {job.name}{output_option}")
    for line in lines:
        results().print(line, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(submit)
