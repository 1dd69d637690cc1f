"""Choose the source that reads a file, by its magic bytes or else by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tauopt.config.settings.layout import CandidateLayout, EventLayout
from tauopt.errors import DataError
from tauopt.ntuples.arrow import Feather, Parquet
from tauopt.ntuples.event_trees import EventTree
from tauopt.ntuples.friends import Joined
from tauopt.ntuples.hdf5 import Hdf5
from tauopt.ntuples.root import RootTree
from tauopt.ntuples.root_files import list_trees
from tauopt.ntuples.source import TREE, Source

_Open = Callable[[Path, str], Source]

_MAGIC: tuple[tuple[bytes, _Open], ...] = (
    (b"root", RootTree),
    (b"\x89HDF\r\n\x1a\n", Hdf5),
    (b"PAR1", Parquet),
    (b"ARROW1", Feather),
)
_SUFFIXES: dict[str, _Open] = {
    ".root": RootTree,
    ".h5": Hdf5,
    ".hdf5": Hdf5,
    ".hdf": Hdf5,
    ".parquet": Parquet,
    ".pq": Parquet,
    ".feather": Feather,
    ".arrow": Feather,
}


_CANDIDATES = CandidateLayout()


def open_source(
    path: Path,
    *,
    tree: str,
    friends: Sequence[str] = (),
    layout: CandidateLayout | EventLayout = _CANDIDATES,
) -> Source:
    """Return the source that reads a file.

    The first bytes decide, then the suffix; a file with neither is opened as ROOT, whose reader
    reports what is wrong with it.

    Args:
        path: the file.
        tree: name of the table in it: TTree, HDF5 dataset or group; Parquet and Feather hold one.
        friends: trees of the same ROOT file that are joined to it entry by entry.
        layout: whether one of its entries is a candidate or an event.
    Raises:
        DataError: the file is not ROOT but has friends or the layout of events, or a tree of
            events has friends.
    """
    kind = _kind(path)
    if isinstance(layout, EventLayout):
        if kind is not RootTree or friends:
            got = "a tree with friends" if friends else "another format"
            raise DataError(f"{path}: `layout: events` is read from single TTrees, not from {got}")
        return EventTree(path, tree, layout)
    if not friends:
        return kind(path, tree)
    if kind is not RootTree:
        raise DataError(
            f"{path}: only trees of ROOT files have friends; remove `friends`, and use the full "
            "names of branches in files of other formats"
        )
    return Joined(RootTree(path, tree), tuple((name, RootTree(path, name)) for name in friends))


def tables(path: Path) -> tuple[str, ...]:
    """List the tables that `open_source` can read: the trees of a ROOT file, else `TREE`.

    Raises:
        BadFileError: the file can't be read.
    """
    return list_trees(path) if _kind(path) is RootTree else (TREE,)


def _kind(path: Path) -> _Open:
    return _by_magic(path) or _SUFFIXES.get(path.suffix.lower(), RootTree)


def _by_magic(path: Path) -> _Open | None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:  # the reader reports it
        return None
    return next((opened for magic, opened in _MAGIC if start.startswith(magic)), None)
