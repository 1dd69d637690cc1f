"""Inspect and read RNTuples where they differ from TTrees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from tauopt.ntuples.source import Column

CLASS = "ROOT::RNTuple"

_NUMBER = r"(?:bool|float|double|char|(?:std::)?u?int(?:8|16|32|64)_t)"
_LIST = re.compile(
    rf"(?:std::vector|ROOT::VecOps::RVec|ROOT::RVec)<{_NUMBER}>|std::array<{_NUMBER},\s*\d+>"
    r"|std::bitset<\d+>"
)
_ONE = re.compile(rf"{_NUMBER}|std::atomic<{_NUMBER}>|ROOT::RNTupleCardinality<{_NUMBER}>")
_CHECKSUM = 8
"""Bytes of the XXH3 checksum at the end of an envelope, of which page lists are one kind."""


def column(field: Any) -> Column:
    """Describe a field; fields inside of other fields are listed, but can't be read."""
    kind, entries = str(field.typename), int(field.num_entries)
    if not field.top_level:
        problem = "is inside of another field of an RNTuple, expected a top-level field"
        return Column(kind, None, entries, problem=problem)
    jagged = None
    if _ONE.fullmatch(kind):
        jagged = False
    elif _LIST.fullmatch(kind):
        jagged = True
    return Column(kind, jagged, entries)


def check_page_lists(ntuple: Any) -> None:
    """Verify the checksums of an RNTuple's page lists; ValueError if one is damaged.

    uproot verifies only header and footer, and would fill the memory for a damaged list that
    claims pages of billions of values.
    """
    import xxhash

    for record in ntuple.footer.cluster_group_records:
        link = record.page_list_link
        chunk, cursor = ntuple.read_locator(link.locator, link.env_uncomp_size)
        content = bytes(cursor.bytes(chunk, link.env_uncomp_size, {}))
        stored = int.from_bytes(content[-_CHECKSUM:], "little")
        if xxhash.xxh3_64_intdigest(content[:-_CHECKSUM]) != stored:
            raise ValueError("a list of its pages has a wrong checksum")


def chunks(
    ntuple: Any, names: Sequence[str], *, step: int, entries: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield awkward arrays of `step` entries by field, and a shorter last one.

    Raises ValueError if the offsets of an array are invalid, and whatever uproot raises for
    damaged files.
    """
    import awkward as ak

    pending = None
    for start, stop in pairwise(_edges(ntuple, step, entries)):
        arrays = ntuple.arrays(
            filter_name=lambda name: name in names, entry_start=start, entry_stop=stop
        )
        problem = ak.validity_error(arrays)
        if problem:
            raise ValueError(f"entries {start} to {stop} are damaged: {problem}")
        pending = arrays if pending is None else ak.concatenate([pending, arrays])
        complete = len(pending) - len(pending) % step
        for first in range(0, complete, step):
            yield {name: pending[name][first : first + step] for name in names}
        pending = pending[complete:]
    if pending is not None and len(pending):
        yield {name: pending[name] for name in names}


def _edges(ntuple: Any, step: int, entries: tuple[int, int]) -> list[int]:
    """Return first entries of clusters at least `step` apart, and both ends of `entries`.

    Ranges between them read each cluster once: uproot reads whole clusters for any range.
    """
    edges = [entries[0]]
    for cluster in ntuple.cluster_summaries:
        if edges[-1] + step <= cluster.num_first_entry < entries[1]:
            edges.append(int(cluster.num_first_entry))
    return [*edges, entries[1]] if entries[1] > entries[0] else []
