"""Open, inspect and read ROOT files with uproot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tauopt.errors import DataError, nearest
from tauopt.ntuples import rntuple
from tauopt.ntuples._uproot_internals import find_children
from tauopt.ntuples.bad_files import BadFileError, reading
from tauopt.ntuples.source import Column, TableInfo, check

_TREES = ("TTree", "TNtuple", "TNtupleD", rntuple.CLASS)
_MOST_LISTED = 5
"""Objects of a file that a message lists at most."""


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
    """Return a message that lists the objects of a file without trees."""
    listed = ", ".join(f"{name!r} ({kind})" for name, kind in [*keys.items()][:_MOST_LISTED])
    more = f" and {len(keys) - _MOST_LISTED} more" if len(keys) > _MOST_LISTED else ""
    return f"holds no TTree or RNTuple; it has {listed}{more}"


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Open a ROOT file; yields it and its keys, name -> class. BadFileError as `open_tree`."""
    import uproot

    with contextlib.ExitStack() as stack:
        with reading(path):
            file = stack.enter_context(
                uproot.open(
                    path,
                    # explicit reads: a memory-mapped file that shrinks kills the process
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


def inspect_tree(
    tree: Any, branches: Sequence[str], *, where: Path
) -> tuple[TableInfo, dict[str, Any]]:
    """Inspect the header of an open tree; also return uproot's branches by name.

    Raises:
        DataError: branches are missing or not numeric; lists them all, with nearest names.
        BadFileError: its branches differ in length.
    """
    with reading(where):
        entries = int(tree.num_entries)
        available = available_branches(tree)
        chosen = {name: available[name] for name in branches if name in available}
    columns = dict.fromkeys(available, Column("", None, entries))
    for name, branch in chosen.items():  # only these: it is slow, and a tree may have thousands
        with reading(where, f"branch {name!r} "):
            columns[name] = column(branch)
    table = f"{where}: tree {tree.name!r}"
    return check(columns, branches, entries=entries, where=table), chosen


def column(branch: Any) -> Column:
    """Describe a branch of a TTree or a field of an RNTuple."""
    if not hasattr(branch, "interpretation"):
        return rntuple.column(branch)
    reason = getattr(branch.interpretation, "reason", "")  # set where uproot can't interpret it
    problem = f"can't be read: {reason}" if reason else ""
    return Column(typename(branch), is_jagged(branch), int(branch.num_entries), problem=problem)


def column_or_problem(branch: Any) -> Column:
    """Describe a branch as `column` does; an exception becomes the column's `problem`."""
    try:
        return column(branch)
    except Exception as error:  # noqa: BLE001 - streamers that uproot can't follow fail in many ways
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return Column("unknown", None, int(branch.num_entries), problem=f"can't be read: {reason}")


def typename(branch: Any) -> str:
    """Return the C++ type of a branch or field, or uproot's interpretation where it has none."""
    try:
        return str(branch.typename)
    except KeyError:  # structures with arrays
        return str(branch.interpretation)


def available_branches(tree: Any) -> dict[str, Any]:
    """Return all branches by their paths, and by their names where these are unique."""
    paths = dict(tree.iteritems(recursive=True))
    names: dict[str, Any] = {}
    ambiguous = set()
    for branch in paths.values():
        if branch.name in names:
            ambiguous.add(branch.name)
        names[branch.name] = branch
    return {name: b for name, b in names.items() if name not in ambiguous} | paths


def is_jagged(branch: Any) -> bool | None:
    """Return False for a branch of one number an entry, True for a list of them, else None."""
    import uproot

    interpretation = branch.interpretation
    is_list = isinstance(interpretation, uproot.interpretation.jagged.AsJagged)
    numbers = interpretation.content if is_list else interpretation
    numerical = uproot.interpretation.numerical
    if type(numbers) is not numerical.AsDtype and not isinstance(
        numbers,
        numerical.TruncatedNumerical,  # Double32_t and Float16_t
    ):
        return None
    base, shape = numbers.to_dtype.base, numbers.to_dtype.shape
    if base.kind not in "biuf" or len(shape) + is_list > 1:
        return None
    return is_list or bool(shape)


def read_steps(
    tree: Any, branches: Mapping[str, Any], *, path: Path, step: int, entries: tuple[int, int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first entry and the awkward arrays of each step; decompress each basket once."""
    chunks = _chunks(tree, branches, step=step, entries=entries)
    start = entries[0]
    while True:
        try:
            with reading(path):
                arrays = next(chunks, None)
        except BadFileError as error:
            raise _locate(error, branches, path=path, start=start, stop=start + step) from error
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


def _locate(
    error: BadFileError, branches: Mapping[str, Any], *, path: Path, start: int, stop: int
) -> BadFileError:
    """Return an error that names the branch that can't be read in this range of entries."""
    for name, branch in branches.items():
        try:
            with reading(path, f"branch {name!r} "):
                branch.array(entry_start=start, entry_stop=stop, library="ak")
        except BadFileError as named:
            return named
    return error
