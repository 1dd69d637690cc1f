"""ROOT files, opened, looked into and read by uproot.

Files are read by explicit reads, not memory-mapped: a mapped file that shrinks kills the process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tauopt.errors import DataError, nearest
from tauopt.ntuples import rntuple
from tauopt.ntuples.rntuple_internals import find_children
from tauopt.ntuples.source import BadFileError, Column, TableInfo, check, reading

_TREES = ("TTree", "TNtuple", "TNtupleD", rntuple.CLASS)
_TOLD = 5
"""Objects of a file that are named where it holds no tree."""


def list_trees(path: Path) -> tuple[str, ...]:
    """Name all TTrees and RNTuples of a file.

    Raises:
        BadFileError: the file can't be read, or was never closed.
        DataError: it holds none.
    """
    with _open_file(path) as (_, keys):
        trees = tuple(name for name, kind in keys.items() if kind in _TREES)
    if not trees:
        raise DataError(f"{path}: {_no_tree(keys)}")
    return trees


def _no_tree(keys: Mapping[str, str]) -> str:
    """Say what a file without trees has instead."""
    told = ", ".join(f"{name!r} ({kind})" for name, kind in [*keys.items()][:_TOLD])
    more = f" and {len(keys) - _TOLD} more" if len(keys) > _TOLD else ""
    return f"holds no TTree or RNTuple; it has {told}{more}"


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
            if not trees:
                raise DataError(f"{path}: {_no_tree(keys)}")
            raise DataError(
                f"{path}: no tree {tree!r}{nearest(tree, trees)}; it has "
                f"{', '.join(map(repr, trees))}"
            )
        if keys[tree] not in _TREES:
            raise DataError(f"{path}: {tree!r} is a {keys[tree]}, expected a TTree or RNTuple")
        with reading(path):
            opened = file[tree]
            if keys[tree] == rntuple.CLASS:
                rntuple.check_page_lists(opened)
                find_children(opened)
        yield opened


def look(tree: Any, branches: Sequence[str], *, where: Path) -> tuple[TableInfo, dict[str, Any]]:
    """Look at an open tree's header; returns the branches too.

    Raises:
        DataError: branches are missing (names the nearest) or not numeric: all at once.
        BadFileError: its branches disagree about the entries.
    """
    with reading(where):
        entries = int(tree.num_entries)
        available = available_branches(tree)
        chosen = {name: available[name] for name in branches if name in available}
    columns = dict.fromkeys(available, Column("", None, entries))
    for name, branch in chosen.items():  # looking into a branch is slow, and there may be thousands
        with reading(where, f"branch {name!r} "):
            columns[name] = column(branch)
    what = f"{where}: tree {tree.name!r}"
    return check(columns, branches, entries=entries, where=what), chosen


def column(branch: Any) -> Column:
    """Say what a branch holds."""
    if not hasattr(branch, "interpretation"):
        return rntuple.column(branch)
    reason = getattr(branch.interpretation, "reason", "")  # of what uproot can't interpret
    problem = f"can't be read: {reason}" if reason else ""
    return Column(typename(branch), is_jagged(branch), int(branch.num_entries), problem=problem)


def column_or_problem(branch: Any) -> Column:
    """Say what a branch holds, or why that can't be told."""
    try:
        return column(branch)
    except Exception as error:  # noqa: BLE001 - streamers that uproot can't follow fail in many ways
        told = " ".join(str(error).split())[:200] or type(error).__name__
        return Column("unknown", None, int(branch.num_entries), problem=f"can't be read: {told}")


def typename(branch: Any) -> str:
    """Return the type of a branch or field in ROOT's words, or uproot's where it has none."""
    try:
        return str(branch.typename)
    except KeyError:  # structures with arrays
        return str(branch.interpretation)


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
    is_list = isinstance(interpretation, uproot.interpretation.jagged.AsJagged)
    numbers = interpretation.content if is_list else interpretation
    of_numbers = uproot.interpretation.numerical
    if type(numbers) is not of_numbers.AsDtype and not isinstance(
        numbers,
        of_numbers.TruncatedNumerical,  # Double32_t and Float16_t
    ):
        return None
    base, shape = numbers.to_dtype.base, numbers.to_dtype.shape
    if base.kind not in "biuf" or len(shape) + is_list > 1:
        return None
    return is_list or bool(shape)


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
