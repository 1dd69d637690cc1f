"""Write flat ntuples, one entry a candidate, as TTree, HDF5 or Parquet."""

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
            (object,). Feature `pt` of group `track` becomes branch `track_pt`; branch `ntrack`
            holds the number of objects.
    Raises:
        ValueError: branches have different lengths.
    """
    columns: dict[str, Any] = dict(scalars)
    for name, (counts, features) in groups.items():
        columns[name] = ak.zip(
            {key: ak.unflatten(values, counts) for key, values in features.items()}
        )
    _check_lengths(columns)

    def write(temporary: Path) -> None:
        with uproot.recreate(temporary, compression=uproot.LZ4(4)) as file:
            types = {
                name: column.dtype if isinstance(column, np.ndarray) else column.type.content
                for name, column in columns.items()
            }
            file.mktree(tree, types)
            file[tree].extend(columns)

    write_with(path, write)


def write_hdf5(
    path: Path,
    table: str,
    scalars: Mapping[str, Array],
    groups: Mapping[str, tuple[Array, Mapping[str, Array]]],
) -> None:
    """Write an HDF5 file of structured arrays, as salt and UPP read them.

    The compound dataset `table` has one row a candidate. Each group is a compound dataset
    (candidate, slot), padded with zeros to the largest number of objects; its field `valid` is
    True for real objects.

    Args and errors as `write_tree`; a group's fields have the names of its features.
    """
    import h5py

    _check_lengths({**scalars, **{name: counts for name, (counts, _) in groups.items()}})

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            file.create_dataset(table, data=_rows(scalars, next(iter(scalars.values())).shape))
            for name, (counts, features) in groups.items():
                valid = np.arange(max(1, counts.max(initial=0))) < counts[:, None]
                padded = {
                    key: np.zeros(valid.shape, values.dtype) for key, values in features.items()
                }
                for key, values in features.items():
                    padded[key][valid] = values
                rows = _rows({**padded, "valid": valid}, valid.shape)
                file.create_dataset(name, data=rows, compression="lzf")

    write_with(path, write)


def write_parquet(
    path: Path,
    table: str,
    scalars: Mapping[str, Array],
    groups: Mapping[str, tuple[Array, Mapping[str, Array]]],
) -> None:
    """Write a Parquet file whose columns have the names of `write_tree`'s branches.

    Args and errors as `write_tree`; `table` is ignored, as a file is one table.
    """
    del table
    columns: dict[str, Any] = dict(scalars)
    for name, (counts, features) in groups.items():
        columns |= {f"{name}_{key}": ak.unflatten(v, counts) for key, v in features.items()}
    _check_lengths(columns)
    write_with(path, lambda temporary: ak.to_parquet(ak.Array(columns), temporary))


WRITERS = {"root": write_tree, "hdf5": write_hdf5, "parquet": write_parquet}
"""By format name, which is also the suffix of its files."""


def _rows(fields: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    rows = np.empty(shape, [(name, values.dtype) for name, values in fields.items()])
    for name, values in fields.items():
        rows[name] = values
    return rows


def _check_lengths(columns: Mapping[str, Any]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"branches of one tree must have one length, got {lengths}")
