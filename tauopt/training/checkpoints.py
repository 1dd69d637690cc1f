"""Checkpoints: durable, with checksum; the newest that is whole counts.

A file is a line with the digest of the rest, then an .npz of the weights and the state as JSON.
Nothing in it is executed. The two newest are kept, so that a damaged one costs a rung at most.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tauopt import durable
from tauopt.errors import CorruptError
from tauopt.training.trial_files import CHECKPOINTS

logger = logging.getLogger(__name__)

FOLDER = CHECKPOINTS
KEPT = 2
WeightArrays = Sequence[npt.NDArray[Any]]
_NAME = re.compile(r"(\d{8})\.checkpoint")
_HEADER = "tauopt-checkpoint-1 "


@dataclass(frozen=True)
class Checkpoint:
    """A training at the end of a batch.

    Attributes:
        state: JSON.
        arrays: weights by purpose, each a sequence in the order of the model's or optimizer's.
    """

    state: Mapping[str, Any]
    arrays: Mapping[str, WeightArrays]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint behind those of the trial's folder; the oldest are removed."""
    folder = folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _files(folder)
    path = folder / f"{_number(earlier[-1]) + 1 if earlier else 1:08d}.checkpoint"
    durable.write_bytes(path, _encode(checkpoint))
    for old in earlier[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint of the trial's folder that is whole; None if there is none.

    A damaged one is named in the log and removed.

    Raises:
        CorruptError: there are checkpoints, and none of them is whole.
    """
    files = _files(folder / FOLDER)
    faults = []
    for path in reversed(files):
        try:
            checkpoint = _decode(path.read_bytes())
        except (CorruptError, OSError) as error:
            faults.append(f"{path}: {error}")
            logger.warning("checkpoint %s is damaged (%s); taking the one before", path, error)
        else:
            for damaged in files[files.index(path) + 1 :]:
                damaged.unlink(missing_ok=True)
            return checkpoint
    if faults:
        raise CorruptError(
            f"no checkpoint is whole: {'; '.join(faults)}; delete {folder} to begin anew"
        )
    return None


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints in order; a folder that is not there has none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _encode(checkpoint: Checkpoint) -> bytes:
    state = json.dumps(checkpoint.state, allow_nan=False).encode()
    named = {
        f"{purpose}:{index}": array
        for purpose, arrays in checkpoint.arrays.items()
        for index, array in enumerate(arrays)
    }
    buffer = io.BytesIO()
    np.savez(buffer, state=np.frombuffer(state, np.uint8), allow_pickle=False, **named)
    content = buffer.getvalue()
    return f"{_HEADER}{hashlib.sha256(content).hexdigest()}\n".encode() + content


def _decode(content: bytes) -> Checkpoint:
    header, _, body = content.partition(b"\n")
    if header != f"{_HEADER}{hashlib.sha256(body).hexdigest()}".encode():
        raise CorruptError("content differs from its digest")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            names = [name for name in file.files if name != "state"]
            arrays: dict[str, list[npt.NDArray[Any]]] = {}
            for name in names:
                arrays.setdefault(name.partition(":")[0], []).append(file[name])
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorruptError(str(error)) from error
    return Checkpoint(state, arrays)
