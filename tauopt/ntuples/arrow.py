"""Parquet and Feather files, as awkward and pandas write them, -> flat arrays."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tauopt.ntuples.arrow_types import Leaf, leaves, values
from tauopt.ntuples.source import STEP, TREE, BadFileError, Column, TableInfo, check, reading
from tauopt.physics.jagged import Array, Jagged

_BUFFER_BYTES = 2**20
"""Parquet is read through buffers of this size: a row group may be as large as its file."""


class _Table(NamedTuple):
    """An open file."""

    leaves: dict[str, Leaf]
    """Branch -> where it stands."""
    entries: int
    batches: Callable[[Sequence[str], int], Iterable[Any]]
    """Columns of the schema, and rows wanted at a time -> record batches of about that size."""

    def columns(self) -> dict[str, Column]:
        return {
            name: Column(leaf.type, leaf.jagged, self.entries) for name, leaf in self.leaves.items()
        }


@dataclass(frozen=True)
class _ArrowSource(abc.ABC):
    """What both formats have in common: all but how a file is opened."""

    path: Path
    tree: str = TREE
    """Not looked at: a file is one table."""

    @abc.abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[_Table]:
        """Open the file for the length of a block."""

    def columns(self) -> dict[str, Column]:
        """List all branches; see `Source`."""
        with self._open() as table:
            return table.columns()

    def inspect(self, branches: Sequence[str]) -> TableInfo:
        """Look at the header; see `Source`."""
        with self._open() as table:
            return check(table.columns(), branches, entries=table.entries, where=str(self.path))

    def iterate(
        self, branches: Sequence[str], *, step: int = STEP
    ) -> Iterator[dict[str, Array | Jagged]]:
        """Read branches; see `Source`."""
        with self._open() as table:
            check(table.columns(), branches, entries=table.entries, where=str(self.path))
            wanted = {name: table.leaves[name] for name in branches}
            tops = list(dict.fromkeys(leaf.path[0] for leaf in wanted.values()))
            start = 0
            for rows in self._rows(table.batches(tops, step), step):
                columns = {}
                for name, leaf in wanted.items():
                    where = f"branch {name!r} from entry {start} on "
                    with reading(self.path, where):
                        columns[name] = values(rows, leaf, where=f"{self.path}: {where}")
                start += rows.num_rows
                yield columns
        if start != table.entries:
            raise BadFileError(f"{self.path}: read {start} entries, expected {table.entries}")

    def _rows(self, batches: Iterable[Any], step: int) -> Iterator[Any]:
        """Cut record batches anew: `step` rows each, but for the last."""
        import pyarrow

        waiting: list[Any] = []
        stream = iter(batches)
        while True:
            with reading(self.path):
                batch = next(stream, None)
                if batch is not None:
                    batch.validate(full=True)  # damaged offsets would reach into foreign memory
            if batch is None:
                break
            waiting.append(batch)
            held = sum(batch.num_rows for batch in waiting)
            if held >= step:
                table, whole = pyarrow.Table.from_batches(waiting), held - held % step
                for start in range(0, whole, step):
                    yield table.slice(start, step)
                waiting = table.slice(whole).to_batches()
        if any(batch.num_rows for batch in waiting):
            yield pyarrow.Table.from_batches(waiting)


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
                found = leaves(file.schema_arrow)

            def batches(names: Sequence[str], step: int) -> Iterator[Any]:
                yield from file.iter_batches(batch_size=step, columns=names, use_threads=False)

            yield _Table(found, int(file.metadata.num_rows), batches)


@dataclass(frozen=True)
class Feather(_ArrowSource):
    """The candidates of a Feather file (version 2, which is an Arrow IPC file); see `Source`."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[_Table]:
        import pyarrow.ipc

        with contextlib.ExitStack() as stack:
            with reading(self.path):
                file = stack.enter_context(pyarrow.OSFile(str(self.path)))  # not mapped: may shrink
                schema = pyarrow.ipc.open_file(file).schema

            def batches(names: Sequence[str], step: int = 0) -> Iterable[Any]:
                del step  # a batch is decompressed as a whole
                fields = [index for index, name in enumerate(schema.names) if name in names]
                options = pyarrow.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
                reader = pyarrow.ipc.open_file(file, options=options)
                return (reader.get_batch(index) for index in range(reader.num_record_batches))

            with reading(self.path):
                found = leaves(schema)
                entries = sum(batch.num_rows for batch in batches(schema.names[:1]))
            yield _Table(found, entries, batches)
