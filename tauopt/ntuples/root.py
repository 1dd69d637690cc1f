"""TTrees and RNTuples -> flat arrays, with every short or damaged read noticed.

Files are read by explicit reads, not memory-mapped: a mapped file that shrinks kills the process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tauopt.errors import DataError, nearest
from tauopt.ntuples import rntuple
from tauopt.ntuples.source import STEP, BadFileError, Column, TableInfo, check, reading
from tauopt.physics.jagged import Array, Jagged, from_array

_TREES = ("TTree", rntuple.CLASS)


@dataclass(frozen=True)
class RootTree:
    """A TTree or RNTuple with one candidate an entry; see `Source`."""

    path: Path
    tree: str

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with open_tree(self.path, self.tree) as opened, reading(self.path):
            branches = dict(opened.iteritems(recursive=True))
            return {name: _column(branch) for name, branch in branches.items()}

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header; see `Source`."""
        return inspect(self.path, self.tree, branches)

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read branches; see `Source`."""
        return iterate(self.path, self.tree, branches, step=step)

    def read(self, branches: Sequence[str], *, start: int, stop: int) -> dict[str, Array | Jagged]:
        """Read the entries from `start` to `stop`; see `Seekable`."""
        step = max(1, stop - start)
        return next(iterate(self.path, self.tree, branches, step=step, start=start, stop=stop))


def list_trees(path: Path) -> tuple[str, ...]:
    """Name all TTrees and RNTuples of a file; raises as `open_tree`."""
    with _open_file(path) as (_, keys):
        return tuple(name for name, kind in keys.items() if kind in _TREES)


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Open a ROOT file; gives its objects' names and classes too. BadFileError as `open_tree`."""
    import uproot

    with contextlib.ExitStack() as stack:
        with reading(path):
            file = stack.enter_context(
                uproot.open(
                    path,
                    handler=uproot.source.file.MultithreadedFileSource,
                    num_workers=1,
                    object_cache=None,
                    array_cache=None,
                )
            )
            keys = dict(file.classnames(cycle=False))
        if not keys:
            raise BadFileError(f"{path}: holds nothing; it was not closed by the job that wrote it")
        yield file, keys


@contextlib.contextmanager
def open_tree(path: Path, tree: str) -> Iterator[Any]:
    """Open a TTree or RNTuple for the length of the block.

    Raises:
        BadFileError: the file can't be read, or was never closed.
        DataError: it holds no such tree.
    """
    with _open_file(path) as (file, keys):
        if tree not in keys:
            trees = [name for name, kind in keys.items() if kind in _TREES]
            raise DataError(
                f"{path}: no tree {tree!r}{nearest(tree, trees)}; it has "
                f"{', '.join(map(repr, trees)) or 'no trees'}"
            )
        if keys[tree] not in _TREES:
            raise DataError(f"{path}: {tree!r} is a {keys[tree]}, expected a TTree or RNTuple")
        with reading(path):
            opened = file[tree]
        yield opened


def inspect(path: Path, tree: str, branches: Sequence[str]) -> TableInfo:
    """Look at a tree's header: entries, and whether all `branches` are there and numbers.

    Raises:
        DataError: branches are missing (names the nearest) or not numeric: all at once.
        BadFileError: the file can't be read, or its branches disagree about the entries.
    """
    with open_tree(path, tree) as opened:
        return _look(opened, branches, where=path)[0]


def _look(tree: Any, branches: Sequence[str], *, where: Path) -> tuple[TableInfo, dict[str, Any]]:
    """Do as `inspect` with an open tree; returns the branches too."""
    with reading(where):
        entries = int(tree.num_entries)
        available = available_branches(tree)
        chosen = {name: available[name] for name in branches if name in available}
    columns = dict.fromkeys(available, Column("", None, entries))
    for name, branch in chosen.items():  # looking into a branch is slow, and there may be thousands
        with reading(where, f"branch {name!r} "):
            columns[name] = _column(branch)
    what = f"{where}: tree {tree.name!r}"
    return check(columns, branches, entries=entries, where=what), chosen


def _column(branch: Any) -> Column:
    if not hasattr(branch, "interpretation"):
        return rntuple.column(branch)
    return Column(str(branch.typename), is_jagged(branch), int(branch.num_entries))


def available_branches(tree: Any) -> dict[str, Any]:
    """Return all branches by their paths, and by their names where these are unique."""
    paths = dict(tree.iteritems(recursive=True))
    names: dict[str, Any] = {}
    twice = set()
    for branch in paths.values():
        if branch.name in names:
            twice.add(branch.name)
        names[branch.name] = branch
    return {name: b for name, b in names.items() if name not in twice} | paths


def is_jagged(branch: Any) -> bool | None:
    """Say whether a branch holds one number (False), a list (True) or something else (None)."""
    import uproot

    interpretation = branch.interpretation
    if isinstance(interpretation, uproot.interpretation.jagged.AsJagged):
        inner = interpretation.content
        plain = type(inner) is uproot.interpretation.numerical.AsDtype and not inner.inner_shape
        return True if plain and inner.to_dtype.kind in "biuf" else None
    if type(interpretation) is uproot.interpretation.numerical.AsDtype:
        base, shape = interpretation.to_dtype.base, interpretation.inner_shape
        return bool(shape) if base.kind in "biuf" and len(shape) <= 1 else None
    return None


def check_branches(
    files: Sequence[Path], tree: str, branches: Sequence[str]
) -> dict[Path, TableInfo]:
    """Inspect every file before the first is read.

    Raises:
        DataError: see `inspect`; tells of every file. BadFileError if all that is wrong is files
            that can't be read.
    """
    found: dict[Path, TableInfo] = {}
    problems: list[DataError] = []
    for path in files:
        try:
            found[path] = inspect(path, tree, branches)
        except DataError as error:
            problems.append(error)
    if problems:
        kind = BadFileError if all(isinstance(p, BadFileError) for p in problems) else DataError
        raise kind("\n".join(str(problem) for problem in problems))
    return found


def entries(path: Path, tree: str) -> int:
    """Return the number of entries of a tree; raises as `open_tree`."""
    with open_tree(path, tree) as opened, reading(path):
        return int(opened.num_entries)


def iterate(
    path: Path,
    tree: str,
    branches: Sequence[str],
    *,
    step: int = STEP,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[dict[str, Array | Jagged]]:
    """Read branches of a tree, `step` entries at a time, from entry `start` to `stop`.

    Yields:
        branch -> numpy (candidate,) or `Jagged`.
    Raises:
        BadFileError: something can't be read (names the file and the branch), or fewer entries
            come than the header promises.
        DataError: a branch is missing or not numeric.
    """
    with open_tree(path, tree) as opened:
        info, chosen = _look(opened, branches, where=path)
        end = info.entries if stop is None else stop
        if not 0 <= start <= end <= info.entries:
            raise BadFileError(
                f"{path}: holds {info.entries} entries, expected those from {start} to {end}"
            )
        seen = start
        for first, arrays in read_steps(opened, chosen, path=path, step=step, entries=(start, end)):
            count = min(step, end - first)
            columns = {}
            for name, values in arrays.items():
                if len(values) != count:
                    raise BadFileError(
                        f"{path}: branch {name!r} gave {len(values)} entries from {first} on, "
                        f"expected {count}"
                    )
                columns[name] = from_array(values, name=f"{path}: branch {name!r}")
            seen += count
            yield columns
        if seen != end:
            raise BadFileError(f"{path}: read {seen} entries of {tree!r}, expected {end}")


def read_steps(
    tree: Any, branches: Mapping[str, Any], *, path: Path, step: int, entries: tuple[int, int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield first entry and awkward arrays of each step; baskets are decompressed once."""
    chunks = _chunks(tree, branches, step=step, entries=entries)
    start = entries[0]
    while True:
        try:
            with reading(path):
                arrays = next(chunks, None)
        except BadFileError as error:
            raise _blame(error, branches, path=path, start=start, stop=start + step) from error
        if arrays is None:
            return
        yield start, arrays
        start += step


def _chunks(
    tree: Any, branches: Mapping[str, Any], *, step: int, entries: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    if tree.classname == rntuple.CLASS:
        yield from rntuple.chunks(tree, list(branches), step=step, entries=entries)
        return
    names = {id(branch): name for name, branch in branches.items()}
    available = available_branches(tree)
    for arrays in tree.iterate(
        filter_branch=lambda branch: id(branch) in names,
        entry_start=entries[0],
        entry_stop=entries[1],
        step_size=step,
        library="ak",
        how=dict,
    ):
        yield {names[id(available[key])]: values for key, values in arrays.items()}


def _blame(
    error: BadFileError, branches: Mapping[str, Any], *, path: Path, start: int, stop: int
) -> BadFileError:
    """Find the branch that can't be read in this range of entries."""
    for name, branch in branches.items():
        try:
            with reading(path, f"branch {name!r} "):
                branch.array(entry_start=start, entry_stop=stop, library="ak")
        except BadFileError as found:
            return found
    return error
