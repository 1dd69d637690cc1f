"""Self-tests of Ray, a cluster and the study storage, as a search would use them."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import optuna

from tauopt.config.settings.experiment import Resources
from tauopt.errors import ServiceError
from tauopt.search import ray_resources
from tauopt.search.node_checks import NodeInfo, check_nodes
from tauopt.study.study_storage import is_shared, open_storage, storage_url, without_password


def check_ray() -> tuple[float, float]:
    """Start Ray as a search does, or join the cluster at `RAY_ADDRESS`.

    Returns:
        CPUs and GPUs that Ray sees.
    Raises:
        ServiceError: it does not start, or the cluster can't be joined.
    """
    import ray

    with ray_resources.environment(), ray_resources.running_ray(Resources()):
        resources = ray.cluster_resources()
    return float(resources.get("CPU", 0)), float(resources.get("GPU", 0))


def check_cluster(folders: Sequence[Path]) -> dict[str, NodeInfo]:
    """Join the cluster at `RAY_ADDRESS` and check each of its nodes.

    Args:
        folders: folders that all nodes must share.
    Returns:
        node's name -> its code, Python and missing folders; at least one node.
    Raises:
        ServiceError: the cluster can't be joined, has no node with a CPU, or a node has other code
            or misses a folder.
    """
    with ray_resources.environment(), ray_resources.running_ray(Resources()):
        infos = check_nodes(folders)
    if not infos:
        raise ServiceError("the Ray cluster has no node with a CPU: start a worker")
    return infos


def check_storage(*, output: Path) -> str:
    """Create a study in the study storage, and delete it again.

    An SQLite storage that does not exist yet is tested in a temporary folder.

    Returns:
        the storage's URL without password.
    Raises:
        ServiceError: it can't be reached or written, or its tables are of another Optuna version.
        UsageError: `TAUOPT_STORAGE` is no URL.
    """
    if is_shared() or (output / "studies.db").exists():
        _write(output)
        return without_password(storage_url(output))
    with tempfile.TemporaryDirectory(prefix="tauopt-doctor-") as folder:
        _write(Path(folder))
    return f"{without_password(storage_url(output))} (to be made by the first search)"


def _write(output: Path) -> None:
    storage = open_storage(output)
    name = f"tauopt-doctor-{uuid.uuid4().hex}"
    try:
        optuna.create_study(study_name=name, storage=storage)
        optuna.delete_study(study_name=name, storage=storage)
    except optuna.exceptions.StorageInternalError as error:
        raise ServiceError(
            f"the study storage {without_password(storage_url(output))} can't be written: "
            f"{error}; check its disk and the rights of its user"
        ) from error
