"""Where in the data reports fall. All positions count candidates seen since the start.

A trial sees `candidates` in each epoch, in batches that do not cross an epoch's end. A rung ends
at the first end of a batch at or behind a multiple of `every`, so that trials of different batch
sizes report after nearly the same number of candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tauopt.config.experiment import Training


class Segment(NamedTuple):
    """A part of one epoch: what one call of `fit` trains on."""

    epoch: int
    start: int
    stop: int
    batch_size: int


@dataclass(frozen=True)
class Growth:
    """How batches grow in the course of a training, in place of a falling learning rate.

    Source: Smith et al., arXiv:1711.00489.

    Attributes:
        factor: by which a batch grows each time.
        every: fraction of the training between times.
        limit: candidates of the largest batch; one that begins larger stays as it is.
    """

    factor: float = 1.0
    every: float = 1.0
    limit: int = 1

    def batch_size(self, first: int, *, epoch: int, epochs: int) -> int:
        """Return candidates a batch in an epoch.

        Args:
            first: candidates a batch in the first epoch.
            epoch: epochs before this one.
            epochs: in all.
        """
        times = math.floor(epoch / (epochs * self.every) + 1e-9)
        if self.factor <= 1 or self.limit <= first or not times:
            return first
        if times * math.log(self.factor) > math.log(self.limit / first):
            return self.limit
        return min(round(first * self.factor**times), self.limit)


@dataclass(frozen=True)
class Rungs:
    """The rungs of a training.

    Attributes:
        candidates: in an epoch.
        batch_size: candidates a batch at the beginning; an epoch's last one may be shorter.
        epochs: in all.
        report_every: candidates between rungs; 0 means an epoch.
        growth: of batches; none by default.
    """

    candidates: int
    batch_size: int
    epochs: int
    report_every: int
    growth: Growth = Growth()

    @classmethod
    def of(cls, training: Training, *, candidates: int) -> Rungs:
        """Return the rungs of a training with so many candidates in an epoch."""
        return cls(
            candidates=candidates,
            batch_size=training.batch_size,
            epochs=training.epochs,
            report_every=training.report_every,
            growth=Growth(
                training.batch_growth, training.batch_growth_every, training.max_batch_size
            ),
        )

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
        size = self.batch_size_of(epoch)
        return epoch * self.candidates + min(-(-offset // size) * size, self.candidates)

    def batch_size_of(self, epoch: int) -> int:
        """Return candidates a batch in an epoch; 0 is the first one."""
        return self.growth.batch_size(self.batch_size, epoch=epoch, epochs=self.epochs)

    def number(self, seen: int, previous: int) -> int:
        """Return the number of the rung that ends at `seen`, behind rung `previous`."""
        return max(seen // self.every, previous + 1)

    def segments(self, seen: int, target: int) -> Iterator[Segment]:
        """Yield the parts of epochs between two ends of batches."""
        while seen < target:
            epoch, start = divmod(seen, self.candidates)
            stop = min(self.candidates, start + target - seen)
            yield Segment(epoch, start, stop, self.batch_size_of(epoch))
            seen += stop - start
