"""Write flat ntuples: one entry a candidate, scalar and jagged branches in one TTree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from tauopt.durable import write_with

Array = NDArray[Any]


def write_tree(
    path: Path,
    tree: str,
    scalars: Mapping[str, Array],
    groups: Mapping[str, tuple[Array, Mapping[str, Array]]],
) -> None:
    """Write one TTree into a new ROOT file, whole or not at all.

    Args:
        path: file to make or replace.
        tree: name of the TTree.
        scalars: branches of one number an entry, (entry,).
        groups: by name, the number of objects in each entry, (entry,), and their features,
            (object,). Feature `pt` of group `track` becomes branch `track_pt`; `ntrack` counts.
    Raises:
        ValueError: lengths disagree.
    """
    columns: dict[str, Any] = dict(scalars)
    for name, (counts, features) in groups.items():
        columns[name] = ak.zip(
            {key: ak.unflatten(values, counts) for key, values in features.items()}
        )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"branches of one tree need one length, got {lengths}")

    def write(temporary: Path) -> None:
        with uproot.recreate(temporary, compression=uproot.LZ4(4)) as file:
            types = {
                name: column.dtype if isinstance(column, np.ndarray) else column.type.content
                for name, column in columns.items()
            }
            file.mktree(tree, types)
            file[tree].extend(columns)

    write_with(path, write)
