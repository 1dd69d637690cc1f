"""Serve the MLflow web UI of the runs of an output folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tauopt.errors import UsageError
from tauopt.workflows.paths import output_folder


class ServedUi(NamedTuple):
    """Addresses of the UI."""

    address: str
    """URL of the newest search's run; of the list of experiments if there is no run, or the UI is
    that of a tracking server."""
    trials: str
    """URL of the comparison of that search's trials; empty if there is no such page."""
    is_here: bool
    """Whether this process serves it. A tracking server at `MLFLOW_TRACKING_URI` has its own UI,
    and nothing is started."""


@contextlib.contextmanager
def serve(
    *, output: Path | None = None, host: str = "127.0.0.1", port: int = 5000
) -> Iterator[ServedUi]:
    """Serve MLflow's UI for the length of the block.

    Args:
        output: output folder; None means `tauopt-output`.
        host: address to listen on.
        port: to listen on.
    Yields:
        addresses of the UI.
    Raises:
        UsageError: there are no runs yet.
        ServiceError: the port is taken, the server does not start, or another version of MLflow
            made the store.
    """
    from tauopt.tracking.client import check_schema, set_environment, shown, store_uri
    from tauopt.tracking.mlflow_pages import experiments_page, pages
    from tauopt.tracking.server import check_port, serving, store_exists

    set_environment()
    uri = store_uri(None, output=output_folder(output))
    if uri.startswith(("http://", "https://")):
        yield ServedUi(experiments_page(shown(uri)), "", is_here=False)
        return
    if not store_exists(uri):
        raise UsageError(
            f"no runs yet: {shown(uri)} does not exist; run `tauopt search` first, "
            "or name another output folder with -o"
        )
    check_port(host, port)
    check_schema(uri)
    with serving(uri, host=host, port=port) as address:
        yield ServedUi(*pages(address), is_here=True)
