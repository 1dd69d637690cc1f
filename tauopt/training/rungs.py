"""Where in the data reports fall. All positions count candidates seen since the start.

A trial sees `candidates` in each epoch, in batches that do not cross an epoch's end. A rung ends
at the first end of a batch at or behind a multiple of `every`, so that trials of different batch
sizes report after nearly the same number of candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Segment(NamedTuple):
    """A part of one epoch: what one call of `fit` trains on."""

    epoch: int
    start: int
    stop: int


@dataclass(frozen=True)
class Rungs:
    """The rungs of a training.

    Attributes:
        candidates: in an epoch.
        batch_size: candidates a batch; an epoch's last one may be shorter.
        epochs: in all.
        report_every: candidates between rungs; 0 means an epoch.
    """

    candidates: int
    batch_size: int
    epochs: int
    report_every: int

    @property
    def every(self) -> int:
        """Candidates between rungs."""
        return self.report_every or self.candidates

    @property
    def total(self) -> int:
        """Candidates seen at the end."""
        return self.epochs * self.candidates

    def next(self, seen: int) -> int:
        """Return where the next rung behind `seen` ends."""
        return self.boundary(min((seen // self.every + 1) * self.every, self.total))

    def boundary(self, seen: int) -> int:
        """Return the first end of a batch at or behind `seen`."""
        epoch, offset = divmod(seen, self.candidates)
        batches = -(-offset // self.batch_size)
        return epoch * self.candidates + min(batches * self.batch_size, self.candidates)

    def number(self, seen: int, previous: int) -> int:
        """Return the number of the rung that ends at `seen`, behind rung `previous`."""
        return max(seen // self.every, previous + 1)

    def segments(self, seen: int, target: int) -> Iterator[Segment]:
        """Yield the parts of epochs between two ends of batches."""
        while seen < target:
            epoch, start = divmod(seen, self.candidates)
            stop = min(self.candidates, start + target - seen)
            yield Segment(epoch, start, stop)
            seen += stop - start
