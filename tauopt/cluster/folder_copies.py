"""Copy a folder to the same path on a node that does not share the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tauopt.durable import new_folder, sha256_file
from tauopt.errors import DataError, ServiceError

PIECE_BYTES = 4 * 2**20
_PIECES_IN_FLIGHT = 8
"""Pieces sent and not written yet; with Ray's object store they bound the memory of a copy."""


class Receiver:
    """Ray actor that writes a folder on its node: pieces of files in order, then a check of all."""

    def __init__(self, folder: str) -> None:
        """Make a temporary folder beside `folder`."""
        self._block = contextlib.ExitStack()
        self._temporary = self._block.enter_context(new_folder(Path(folder)))

    def write(self, name: str, piece: bytes) -> None:
        """Append a piece to the file `name`, a path inside the folder."""
        path = self._temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(piece)

    def finish(self, digests: dict[str, str]) -> None:
        """Move the folder to its place if every file has the SHA-256 in `digests` (by name).

        Raises:
            DataError: a file has another digest.
        """
        for name, digest in digests.items():
            if sha256_file(self._temporary / name) != digest:
                raise DataError(f"{name} has changed while it was copied")
        self._block.close()


def copy_to_node(folder: Path, node_id: str) -> None:
    """Copy a finished folder to a node of the running Ray, whole or not at all.

    Args:
        folder: folder on this machine; the copy has the same path. Copying it twice at the same
            time is safe.
        node_id: Ray's id of the node.
    Raises:
        ServiceError: the node can't write the copy.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_node = NodeAffinitySchedulingStrategy(node_id, soft=False)
    receiver = (
        ray.remote(num_cpus=0)(Receiver).options(scheduling_strategy=on_node).remote(str(folder))
    )
    digests: dict[str, str] = {}
    writes: list[Any] = []
    try:
        for name, piece in _pieces(folder):
            if name not in digests:
                digests[name] = sha256_file(folder / name)
            writes.append(receiver.write.remote(name, piece))
            if len(writes) == _PIECES_IN_FLIGHT:
                ray.get(writes.pop(0))
        ray.get(writes)
        ray.get(receiver.finish.remote(digests))
    except (ray.exceptions.RayError, DataError) as error:
        cause = str(error).strip().splitlines()[-1]
        raise ServiceError(f"{folder} can't be copied to a node of the cluster: {cause}") from error
    finally:
        ray.kill(receiver)


def _pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name with its content in pieces; an empty file gives one empty piece."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            piece = stream.read(PIECE_BYTES)
            while True:
                yield str(path.relative_to(folder)), piece
                piece = stream.read(PIECE_BYTES)
                if not piece:
                    break
