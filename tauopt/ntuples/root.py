"""TTrees and RNTuples of candidates -> flat arrays, with every short or damaged read noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tauopt.ntuples.root_files import column_or_problem, look, open_tree
from tauopt.ntuples.source import STEP, Column, Columns, TableInfo, reading
from tauopt.ntuples.tree_reader import TreeReader


@dataclass(frozen=True)
class RootTree:
    """A TTree or RNTuple with one candidate an entry; see `Source`."""

    path: Path
    tree: str

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with open_tree(self.path, self.tree) as opened, reading(self.path):
            paths = dict(opened.iteritems(recursive=True))
            names = Counter(branch.name for branch in paths.values())
            columns = {}
            for path, branch in paths.items():
                is_short = branch.name not in paths and names[branch.name] == 1
                short = branch.name if is_short else ""
                columns[path] = column_or_problem(branch)._replace(short=short)
            return columns

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header; see `Source`."""
        with open_tree(self.path, self.tree) as opened:
            return look(opened, branches, where=self.path)[0]

    def iterate(self, branches: Sequence[str], *, step: int = STEP) -> Iterator[Columns]:
        """Read branches; see `Source`."""
        reader = self.open(branches)
        return reader.steps(0, reader.entries, step=step)

    def open(self, branches: Sequence[str]) -> TreeReader:
        """Open the tree for reading at any entry; see `Seekable`."""
        return TreeReader(self.path, self.tree, branches)
