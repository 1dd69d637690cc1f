"""Where in the data reports fall. All positions count candidates seen since the start.

Every batch is full: what an epoch leaves over is completed from the next one's first candidates,
since a batch of two candidates would make a step as large as any other, just before a report. A
rung ends at the first end of a batch at or behind a multiple of `every`, so that trials of
different batch sizes report after nearly the same number of candidates, and the training at the
first behind its last epoch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tauopt.config.settings.experiment import Training


class Segment(NamedTuple):
    """Whole batches of one size, one behind the other: what one call of `fit` trains on."""

    start: int
    stop: int
    batch_size: int
    next_size: int
    """Candidates of the batch behind."""


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
        batch_size: candidates a batch at the beginning; one of more than an epoch is that epoch.
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

    @cached_property
    def total(self) -> int:
        """Candidates seen at the end."""
        return self.boundary(self.epochs * self.candidates)

    def next(self, seen: int) -> int:
        """Return where the next rung behind `seen` ends."""
        return min(self.boundary((seen // self.every + 1) * self.every), self.total)

    def boundary(self, seen: int) -> int:
        """Return the first end of a batch at or behind `seen`."""
        return _aligned(seen, *self._sizes[self._size_at(seen)])

    def batch_size_of(self, epoch: int) -> int:
        """Return the candidates of batches that begin in an epoch; 0 is the first one."""
        size = self.growth.batch_size(self.batch_size, epoch=epoch, epochs=self.epochs)
        return min(size, self.candidates)

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        """Where batches of each size begin, and that size: at the first one of an epoch."""
        sizes = [(0, self.batch_size_of(0))]
        for epoch in range(1, self.epochs if self.growth.factor > 1 else 1):
            size = self.batch_size_of(epoch)
            if size != sizes[-1][1]:
                sizes.append((_aligned(epoch * self.candidates, *sizes[-1]), size))
        return sizes

    def _size_at(self, seen: int) -> int:
        """Return the place in `_sizes` of the batch that begins at or holds `seen`."""
        return bisect_right(self._sizes, seen, key=lambda size: size[0]) - 1

    def number(self, seen: int, previous: int) -> int:
        """Return the number of the rung that ends at `seen`, behind rung `previous`."""
        return max(min(seen, self.epochs * self.candidates) // self.every, previous + 1)

    def segments(self, seen: int, target: int) -> Iterator[Segment]:
        """Yield the batches between two ends of batches, those of one size together."""
        while seen < target:
            place = self._size_at(seen)
            last = place + 1 == len(self._sizes)
            stop = target if last else min(target, self._sizes[place + 1][0])
            size, next_size = (self._sizes[at][1] for at in (place, self._size_at(stop)))
            yield Segment(seen, stop, size, next_size)
            seen = stop


def _aligned(seen: int, begin: int, size: int) -> int:
    """Return the first end of a batch at or behind `seen`, where batches of a size have begun."""
    return begin + -(-(seen - begin) // size) * size
