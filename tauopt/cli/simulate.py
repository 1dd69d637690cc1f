"""`tauopt simulate`: simulate a sample of hadronic tau decays and jets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tauopt.cli.interruptible import resumable
from tauopt.cli.options import Json

if TYPE_CHECKING:
    from tauopt.simulate.simulated_sample import FileRecord


def simulate(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the ROOT files [default: in the cache]."),
    ] = None,
    taus: Annotated[int, typer.Option(min=1, help="Candidates from gamma*/Z to tau tau.")] = 60_000,
    jets: Annotated[int, typer.Option(min=1, help="Candidates from dijets.")] = 60_000,
    seed: Annotated[int, typer.Option(min=1, max=900_000, help="Same seed, same content.")] = 1,
    pileup: Annotated[
        float, typer.Option(min=0, max=200, help="Mean pile-up interactions.")
    ] = 35.0,
    tau_decays: Annotated[
        int,
        typer.Option(help="Decay model: 0 phase space, 5 hadronic currents, 1 currents and spin."),
    ] = 5,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Worker processes [default: all cores].")
    ] = None,
    json: Json = False,
) -> None:
    """Simulate hadronic tau decays and jets as flat ntuples; resumes after an interruption."""
    from pydantic import ValidationError

    from tauopt.cli.console import print_json, progress, results
    from tauopt.config.settings.dataset import Simulation
    from tauopt.errors import UsageError
    from tauopt.workflows.simulate import simulate_files

    try:
        settings = Simulation.model_validate(
            {"taus": taus, "jets": jets, "seed": seed, "pileup": pileup, "tau_decays": tau_decays}
        )
    except ValidationError as error:
        raise UsageError(
            "; ".join(f"{e['loc'][0]}: {e['msg']}, got {e['input']}" for e in error.errors())
        ) from None
    with progress() as display, resumable("finished files are kept"):
        folder, records = simulate_files(
            settings, folder=output, processes=processes, progress=display
        )
    if json:
        print_json({"folder": str(folder), "files": [asdict(record) for record in records]})
        return
    console = results()
    console.print(str(folder), markup=False, soft_wrap=True)
    for process in dict.fromkeys(record.process for record in records):
        console.print(_summary(process, [r for r in records if r.process == process]), markup=False)


def _summary(process: str, records: list[FileRecord]) -> str:
    selected, entries, events = (
        sum(getattr(record, name) for record in records)
        for name in ("selected", "entries", "events")
    )
    return (
        f"{process}: {selected} candidates selected, {entries} entries, from {events} events "
        f"in {len(records)} files"
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(simulate)
