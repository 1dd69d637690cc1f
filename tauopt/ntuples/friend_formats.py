"""The formats in which more columns can be written for the entries of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tauopt.ntuples.friend import read_record, write_friend
from tauopt.ntuples.friend_hdf5 import read_hdf5_record, write_hdf5
from tauopt.ntuples.friend_parquet import read_parquet_record, write_parquet


@dataclass(frozen=True)
class Format:
    """One format: what its files are called, and who writes and recognises them."""

    suffix: str
    write: Callable[..., int]
    """As `friend.write_friend`."""
    record: Callable[[Path], dict[str, Any]]
    """As `friend.read_record`."""


FORMATS = {
    "root": Format(".tauopt.root", write_friend, read_record),
    "hdf5": Format(".tauopt.h5", write_hdf5, read_hdf5_record),
    "parquet": Format(".tauopt.parquet", write_parquet, read_parquet_record),
}
