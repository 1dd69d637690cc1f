"""What the first pass yields of one input file: an immutable folder that later preparations use.

It is named by the hash of all that decides its content (`identity.of_extract`), so a file is read
again only when it, or what is taken from it, has changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt import durable
from tauopt.dataset.manifest import SPLITS
from tauopt.prepare import left_out
from tauopt.prepare.constants import Constants
from tauopt.prepare.left_out import Causes
from tauopt.prepare.spill_files import SpillFile

SUMMARY, CONSTANTS = "extract.json", "constants.npz"


@dataclass
class ExtractCounts:
    """What is counted while a file is read."""

    classes: int
    counts: NDArray[np.int64] = field(init=False)
    """(split, class) candidates."""
    negative: NDArray[np.int64] = field(init=False)
    """(class) candidates of negative weight."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> candidates left out."""
    causes: Causes = field(default_factory=Causes)
    """The same by cut and class."""
    imputed: Counter[str] = field(default_factory=Counter)
    """Feature -> values to be imputed."""

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(SPLITS), self.classes), np.int64)
        self.negative = np.zeros(self.classes, np.int64)

    def add(self, other: ExtractCounts) -> None:
        """Add the counts of another file."""
        self.counts += other.counts
        self.negative += other.negative
        self.dropped += other.dropped
        self.causes += other.causes
        self.imputed += other.imputed


@dataclass(frozen=True)
class Extract:
    """A finished extract on the disk."""

    folder: Path
    entries: int
    jagged: Mapping[str, bool]
    """Branch -> whether it holds several values a candidate."""
    counted: ExtractCounts
    parts: tuple[SpillFile, ...]

    @property
    def bytes(self) -> int:
        """Size of the candidates on the disk."""
        return sum(part.bytes for part in self.parts)

    def constants(self, empty: Mapping[str, Constants]) -> dict[str, Constants]:
        """Return what the training candidates add to the constants of each group.

        Nothing where their features are kept.
        """
        path = self.folder / CONSTANTS
        if not path.exists():
            return {}
        with np.load(path) as arrays:
            return {
                name: constants.with_state(
                    {key: arrays[f"{name}.{key}"] for key in constants.state()}
                )
                for name, constants in empty.items()
            }


def write_extract(
    folder: Path,
    counted: ExtractCounts,
    parts: Sequence[SpillFile],
    *,
    entries: int,
    jagged: Mapping[str, bool],
    constants: Mapping[str, Constants] | None,
) -> None:
    """Write the summary of an extract, last of all; `constants` where features are not kept."""
    if constants is not None:
        state = {
            f"{name}.{key}": array
            for name, one in constants.items()
            for key, array in one.state().items()
        }
        np.savez(folder / CONSTANTS, allow_pickle=False, **state)
    durable.write_json(
        folder / SUMMARY,
        {
            "entries": entries,
            "jagged": dict(jagged),
            "counts": counted.counts.tolist(),
            "negative": counted.negative.tolist(),
            "dropped": counted.dropped,
            "causes": left_out.plain(counted.causes),
            "imputed": counted.imputed,
            "parts": [
                {"name": p.path.name, "rows": p.rows, "widths": p.widths, "groups": p.groups}
                for p in parts
            ],
        },
    )


def open_extract(folder: Path) -> Extract | None:
    """Open an extract; None if there is none, or if a part of it was removed or cut."""
    try:
        plain = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        extract = _from_plain(folder, plain)
        whole = all(part.path.stat().st_size == part.bytes for part in extract.parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return extract if whole else None


def _from_plain(folder: Path, plain: dict[str, Any]) -> Extract:
    counted = ExtractCounts(len(plain["negative"]))
    counted.counts[:] = plain["counts"]
    counted.negative[:] = plain["negative"]
    counted.dropped.update(plain["dropped"])
    counted.causes.update(left_out.from_plain(plain["causes"]))
    counted.imputed.update(plain["imputed"])
    parts = tuple(
        SpillFile(
            path=folder / part["name"],
            rows=tuple(part["rows"]),
            widths=part["widths"],
            groups={name: (shape[0], shape[1]) for name, shape in part["groups"].items()},
        )
        for part in plain["parts"]
    )
    return Extract(folder, plain["entries"], plain["jagged"], counted, parts)
