"""Checkpoints of a training: durable, with checksum; the newest intact one is used.

A file is a line with the SHA-256 digest of the rest, then an .npz of the weights and the state as
JSON. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tauopt import durable
from tauopt.errors import CorruptError
from tauopt.training.early_stopping import Patience
from tauopt.training.trial_plan import CHECKPOINTS

logger = logging.getLogger(__name__)

KEPT = 2
"""Number of checkpoints kept: with two, a damaged one costs a rung at most."""
WeightArrays = Sequence[npt.NDArray[Any]]
_NAME = re.compile(r"(\d{8})\.checkpoint")
_HEADER = "tauopt-checkpoint-1 "


@dataclass(frozen=True)
class Checkpoint:
    """State of a training at the end of a batch.

    Attributes:
        state: JSON values.
        arrays: purpose -> arrays, in the order of the variables of the model or the optimizer.
    """

    state: Mapping[str, Any]
    arrays: Mapping[str, WeightArrays]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into the trial's folder; keep the `KEPT` newest."""
    folder = folder / CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _files(folder)
    number = int(earlier[-1].stem) + 1 if earlier else 1
    path = folder / f"{number:08d}.checkpoint"
    durable.write_bytes(path, _encode(checkpoint))
    for old in earlier[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest intact checkpoint of the trial's folder; None if there is no checkpoint.

    Newer damaged ones are named in the log and removed.

    Raises:
        CorruptError: there are checkpoints, and none of them is intact.
    """
    files = _files(folder / CHECKPOINTS)
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
            f"no checkpoint is whole: {'; '.join(faults)}; delete {folder} to start again"
        )
    return None


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints, oldest first; a missing folder has none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


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


@dataclass
class TrainingState:
    """State of a training, which a checkpoint keeps beside the weights.

    Attributes:
        seen: candidates trained on so far, over all epochs.
        target: end of the present rung, in candidates.
        loss_sum, loss_count: sums over the present rung's candidates, for its mean loss.
        patience, plateau: patience of early stopping and of the learning rate.
        best: index of the best report in `history`; see `best_report`.
        seconds: time spent in training and validation, over all resumes.
        rung_seconds: time spent in training on the present rung.
        history: metrics of each report, with `number` and `candidates_seen`.
        paired_values: the objective of each report as a `PairedValue`, as text.
        ended: why training is over; empty while it goes on.
    """

    seen: int = 0
    target: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    patience: Patience = field(default_factory=Patience)
    plateau: Patience = field(default_factory=Patience)
    best: int = 0
    seconds: float = 0.0
    rung_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    paired_values: list[str] = field(default_factory=list)
    ended: str = ""

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainingState:
        """Return the state that `asdict` wrote."""
        content = {f.name: content[f.name] for f in fields(cls)}
        return cls(
            **{
                **content,
                "patience": Patience(**content["patience"]),
                "plateau": Patience(**content["plateau"]),
            }
        )
