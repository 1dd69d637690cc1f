"""Read Parquet and Feather files, as awkward and pandas write them, into flat arrays.

A branch is a column of numbers or of lists of numbers. Every field of a record is a branch:
`tracks`, a list of records of `pt` and `d0`, gives `tracks.pt` and `tracks.d0`.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError, reading
from tauopt.ntuples.source import STEP, TREE, Column, TableInfo, check
from tauopt.physics.jagged import Array, Jagged, from_array

_BUFFER_BYTES = 2**20
"""Size of the buffer for reading Parquet: a row group may be as large as its file."""


class _Leaf(NamedTuple):
    """A branch in the schema."""

    path: tuple[str, ...]
    """Column, and the names of the fields below it."""
    type: str
    jagged: bool | None
    """See `Column.jagged`."""


def _schema_leaves(schema: Any) -> dict[str, _Leaf]:
    """Return all branches of a schema by their dotted names."""
    return {
        ".".join(leaf.path): leaf
        for field in schema
        for leaf in _leaves((field.name,), field.type, False)
    }


def _leaves(path: tuple[str, ...], kind: Any, jagged: bool) -> Iterator[_Leaf]:
    import pyarrow.types as is_a

    kind = getattr(kind, "storage_type", kind)  # awkward wraps types when it writes Feather
    if is_a.is_struct(kind):
        for field in kind:
            yield from _leaves((*path, field.name), field.type, jagged)
    elif not jagged and _is_list(kind):
        yield from _leaves(path, kind.value_type, True)
    else:
        number = is_a.is_integer(kind) or is_a.is_floating(kind) or is_a.is_boolean(kind)
        yield _Leaf(path, f"list of {kind}" if jagged else str(kind), jagged if number else None)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as is_a

    return bool(is_a.is_list(kind) or is_a.is_large_list(kind) or is_a.is_fixed_size_list(kind))


def _values(table: Any, leaf: _Leaf, *, where: str) -> Array | Jagged:
    """Return the numbers of a branch of a pyarrow Table; `where` is for messages.

    A missing float becomes NaN, to which the dataset's policy for missing values applies.

    Raises:
        DataError: an integer, list or record is missing.
    """
    import pyarrow

    chunks = table.column(leaf.path[0]).chunks
    array = pyarrow.concat_arrays(chunks) if len(chunks) != 1 else chunks[0]
    counts = None
    fields = list(leaf.path[1:])
    while True:
        array = getattr(array, "storage", array)
        if _is_list(array.type):
            _refuse_missing(array, where)
            counts = array.value_lengths().to_numpy(zero_copy_only=False)
            array = array.flatten()
        elif fields:
            _refuse_missing(array, where)
            array = array.field(fields.pop(0))
        else:
            break
    content = _numbers(array, where)
    if counts is None:
        return from_array(content, name=where)
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Jagged(content, offsets)


def _numbers(array: Any, where: str) -> Array:
    import pyarrow.types as is_a

    if not is_a.is_floating(array.type):
        _refuse_missing(array, where)
    numbers = np.asarray(array.to_numpy(zero_copy_only=False))
    return numbers.astype(np.float32) if numbers.dtype == np.float16 else numbers


def _refuse_missing(array: Any, where: str) -> None:
    if array.null_count:
        raise DataError(
            f"{where}holds {array.null_count} missing values where only floats may be missing"
        )


class _Table(NamedTuple):
    """An open file."""

    leaves: dict[str, _Leaf]
    """By branch."""
    entries: int
    batches: Callable[[Sequence[str], int], Iterable[Any]]
    """(columns of the schema, rows a batch) -> record batches of about that size."""

    def columns(self) -> dict[str, Column]:
        return {
            name: Column(leaf.type, leaf.jagged, self.entries) for name, leaf in self.leaves.items()
        }


@dataclass(frozen=True)
class _ArrowSource(abc.ABC):
    """A source of either format; the subclasses only open the file."""

    path: Path
    tree: str = TREE
    """Ignored: a file is one table."""

    @abc.abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[_Table]:
        """Open the file for the length of the block."""

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with self._open() as table:
            return table.columns()

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Read the header; see `Source`."""
        with self._open() as table:
            return check(table.columns(), branches, entries=table.entries, where=str(self.path))

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read branches; see `Source`."""
        with self._open() as table:
            check(table.columns(), branches, entries=table.entries, where=str(self.path))
            requested = {name: table.leaves[name] for name in branches}
            columns_read = list(dict.fromkeys(leaf.path[0] for leaf in requested.values()))
            start = 0
            for rows in self._rows(table.batches(columns_read, step), step):
                columns = {}
                for name, leaf in requested.items():
                    where = f"branch {name!r} from entry {start} on "
                    with reading(self.path, where):
                        columns[name] = _values(rows, leaf, where=f"{self.path}: {where}")
                start += rows.num_rows
                yield columns
        if start != table.entries:
            raise BadFileError(f"{self.path}: read {start} entries, expected {table.entries}")

    def _rows(self, batches: Iterable[Any], step: int) -> Iterator[Any]:
        """Cut record batches into tables of `step` rows, and a shorter last one."""
        import pyarrow

        pending: list[Any] = []
        stream = iter(batches)
        while True:
            with reading(self.path):
                batch = next(stream, None)
                if batch is not None:
                    batch.validate(full=True)  # damaged offsets would read beyond the buffer
            if batch is None:
                break
            pending.append(batch)
            rows = sum(batch.num_rows for batch in pending)
            if rows >= step:
                table, complete = pyarrow.Table.from_batches(pending), rows - rows % step
                for start in range(0, complete, step):
                    yield table.slice(start, step)
                pending = table.slice(complete).to_batches()
        if any(batch.num_rows for batch in pending):
            yield pyarrow.Table.from_batches(pending)


@dataclass(frozen=True)
class Parquet(_ArrowSource):
    """The candidates of a Parquet file; see `Source`."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[_Table]:
        import pyarrow.parquet

        with contextlib.ExitStack() as stack:
            with reading(self.path):
                file = stack.enter_context(
                    pyarrow.parquet.ParquetFile(
                        self.path,
                        buffer_size=_BUFFER_BYTES,
                        pre_buffer=False,
                        page_checksum_verification=True,
                    )
                )
                leaves = _schema_leaves(file.schema_arrow)

            def batches(names: Sequence[str], step: int) -> Iterator[Any]:
                yield from file.iter_batches(batch_size=step, columns=names, use_threads=False)

            yield _Table(leaves, int(file.metadata.num_rows), batches)


@dataclass(frozen=True)
class Feather(_ArrowSource):
    """The candidates of a Feather file (version 2, which is an Arrow IPC file); see `Source`."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[_Table]:
        import pyarrow.ipc

        with contextlib.ExitStack() as stack:
            with reading(self.path):
                # no memory map: a mapped file that shrinks kills the process
                file = stack.enter_context(pyarrow.OSFile(str(self.path)))
                schema = pyarrow.ipc.open_file(file).schema

            def batches(names: Sequence[str], step: int = 0) -> Iterable[Any]:
                del step  # a batch is decompressed as a whole
                fields = [index for index, name in enumerate(schema.names) if name in names]
                options = pyarrow.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
                reader = pyarrow.ipc.open_file(file, options=options)
                return (reader.get_batch(index) for index in range(reader.num_record_batches))

            with reading(self.path):
                leaves = _schema_leaves(schema)
                entries = sum(batch.num_rows for batch in batches(schema.names[:1]))
            yield _Table(leaves, entries, batches)
