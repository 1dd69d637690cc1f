"""The MLflow web UI on the runs of an output folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tauopt.errors import UsageError
from tauopt.workflows.places import output_folder


@contextlib.contextmanager
def serve(
    *, output: Path | None = None, host: str = "127.0.0.1", port: int = 5000
) -> Iterator[tuple[str, bool]]:
    """Serve the UI for the length of the block.

    Args:
        output: output folder; None means `tauopt-output`.
        host: address to listen on.
        port: to listen on.
    Yields:
        The UI's address, and whether it is served here: a tracking server at
        `MLFLOW_TRACKING_URI` has a UI of its own, and nothing is started then.
    Raises:
        UsageError: there are no runs yet.
        ServiceError: the port is taken, the server does not start, or the store is another
            MLflow's.
    """
    from tauopt.tracking.client import check_schema, set_environment, shown, store_uri
    from tauopt.tracking.server import check_port, serving, store_exists

    set_environment()
    uri = store_uri(None, output=output_folder(output))
    if uri.startswith(("http://", "https://")):
        yield shown(uri), False
        return
    if not store_exists(uri):
        raise UsageError(
            f"no runs yet: {shown(uri)} does not exist; run `tauopt search` first, "
            "or name another output folder with -o"
        )
    check_port(host, port)
    check_schema(uri)
    with serving(uri, host=host, port=port) as address:
        yield f"{address}/#/experiments?workflowType=machine_learning", True
