"""Can a client work with the MLflow server? By the name that clients use, with a user's password.

`/health` answers also where every client is refused: for its Host header, for the database, or for
artifacts that can't be written. So an experiment is searched and an artifact written and read.
"""

import base64
import os
import urllib.request

server = os.environ["MLFLOW_TRACKING_URI"]
user, password = os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
token = base64.b64encode(f"{user}:{password}".encode()).decode()


def asked(method: str, path: str, content: bytes | None = None) -> bytes:
    """Return what the server answers; raises where it is no success."""
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return bytes(reply.read())


asked("POST", "api/2.0/mlflow/experiments/search", b'{"max_results": 1}')
place = "api/2.0/mlflow-artifacts/artifacts/.health/probe"
asked("PUT", place, b"tauopt")
if asked("GET", place) != b"tauopt":
    raise SystemExit("the artifact store gives back something else than it was given")
