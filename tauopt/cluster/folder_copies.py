"""A folder copied to a node that does not see it, at the same path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tauopt.durable import new_folder, sha256_file
from tauopt.errors import DataError, ServiceError

PIECE_BYTES = 4 * 2**20
_UNDER_WAY = 8
"""Pieces sent and not written yet; with Ray's object store they bound the memory of a copy."""


class Receiver:
    """Takes a folder on its node: pieces of files in order, then the digests of all."""

    def __init__(self, folder: str) -> None:
        """Make a temporary folder beside `folder`."""
        self._open = contextlib.ExitStack()
        self._there = self._open.enter_context(new_folder(Path(folder)))

    def write(self, name: str, piece: bytes) -> None:
        """Append to a file."""
        path = self._there / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(piece)

    def finish(self, digests: dict[str, str]) -> None:
        """Put the folder in its place if every file is what was sent.

        Raises:
            DataError: a file is not.
        """
        wrong = [name for name, one in digests.items() if sha256_file(self._there / name) != one]
        if wrong:
            raise DataError(f"{wrong[0]} has changed while it was copied")
        self._open.close()


def copy_to_node(folder: Path, node_id: str) -> None:
    """Copy a finished folder to a node of the Ray that is running, whole or not at all.

    Args:
        folder: on this machine; its path is that of the copy. Two copies at once do no harm.
        node_id: Ray's id of the node.
    Raises:
        ServiceError: the node can't take it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    receiver = (
        ray.remote(num_cpus=0)(Receiver).options(scheduling_strategy=there).remote(str(folder))
    )
    digests: dict[str, str] = {}
    waiting: list[Any] = []
    try:
        for name, piece in _pieces(folder):
            if name not in digests:
                digests[name] = sha256_file(folder / name)
            waiting.append(receiver.write.remote(name, piece))
            if len(waiting) == _UNDER_WAY:
                ray.get(waiting.pop(0))
        ray.get(waiting)
        ray.get(receiver.finish.remote(digests))
    except (ray.exceptions.RayError, DataError) as error:
        cause = str(error).strip().splitlines()[-1]
        raise ServiceError(f"{folder} can't be copied to a node of the cluster: {cause}") from error
    finally:
        ray.kill(receiver)


def _pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and its content in pieces; an empty file has one, empty."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            piece = stream.read(PIECE_BYTES)
            while True:
                yield str(path.relative_to(folder)), piece
                piece = stream.read(PIECE_BYTES)
                if not piece:
                    break
