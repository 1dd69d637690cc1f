"""Do Ray and the study storage take what a search would give them?"""

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
        seen = ray.cluster_resources()
    return float(seen.get("CPU", 0)), float(seen.get("GPU", 0))


def check_cluster(folders: Sequence[Path]) -> dict[str, NodeInfo]:
    """Join the cluster at `RAY_ADDRESS` and check every node of it.

    Args:
        folders: that all nodes must share.
    Returns:
        node -> what it has; at least one.
    Raises:
        ServiceError: it can't be joined, no node trains, or one has other code or misses a folder.
    """
    with ray_resources.environment(), ray_resources.running_ray(Resources()):
        found = check_nodes(folders)
    if not found:
        raise ServiceError("the Ray cluster has no node with a CPU: start a worker")
    return found


def check_storage(*, output: Path) -> str:
    """Make a study in the study storage, and delete it.

    An SQLite storage that does not exist yet is tried in a temporary folder.

    Returns:
        Its address, fit to be shown.
    Raises:
        ServiceError: it can't be reached or written, or is another Optuna's.
        UsageError: `TAUOPT_STORAGE` is no address.
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
