"""`tauopt ui`: open the MLflow web UI, to compare runs in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from tauopt.cli.options import Output


def ui(
    output: Output = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; any but 127.0.0.1 lets other machines in."),
    ] = "127.0.0.1",
) -> None:
    """Open the MLflow web UI on the runs; Ctrl-C ends it."""
    import sys
    import threading

    from tauopt.workflows.ui import serve

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    say("starting MLflow's server; this takes some 8 s on a quiet machine ...")
    try:
        with serve(output=output, host=host, port=port) as served:
            typer.echo(served.address)
            if not served.is_here:
                say("MLFLOW_TRACKING_URI points to a tracking server: open this address")
                return
            if host not in ("127.0.0.1", "localhost", "::1"):
                say("everybody who reaches this port can read and change the runs")
            if served.trials:
                say(f"trials side by side, the best first: {served.trials}")
            say("open this address in a browser; Ctrl-C ends the UI")
            threading.Event().wait()
    except KeyboardInterrupt:
        say("the UI has ended; the runs are safe")


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(ui)
