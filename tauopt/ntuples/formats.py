"""Which kind of source reads a file."""

from __future__ import annotations

from pathlib import Path

from tauopt.ntuples.root import RootTree
from tauopt.ntuples.source import Source


def open_source(path: Path, *, tree: str) -> Source:
    """Return the source that reads a file; touches nothing yet.

    Args:
        path: of the file.
        tree: name of the TTree in it.
    """
    return RootTree(path, tree)
