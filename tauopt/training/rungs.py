"""Rungs: after how many candidates a trial reports. All positions count candidates seen so far.

Every batch is full: the last batch of an epoch is completed with the first candidates of the next
one, since a batch of two candidates would make a step as large as any other, just before a report.
A rung ends with the first batch that ends at or after a multiple of `every`, so that trials of
different batch sizes report after nearly the same number of candidates. The training ends with the
first batch that ends at or after the end of the last epoch.
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
    """Consecutive full batches of one size, which one call of `fit` trains on."""

    start: int
    stop: int
    batch_size: int
    next_size: int
    """Candidates of the batch after the segment."""


@dataclass(frozen=True)
class Growth:
    """Growth of the batch size during a training, in place of a falling learning rate.

    Source: Smith et al., arXiv:1711.00489.

    Attributes:
        factor: factor on the batch size at each step of growth.
        every: fraction of the training between steps of growth.
        limit: candidates of the largest batch; a batch size that begins larger stays constant.
    """

    factor: float = 1.0
    every: float = 1.0
    limit: int = 1

    def batch_size(self, first: int, *, epoch: int, epochs: int) -> int:
        """Return the number of candidates a batch in an epoch.

        Args:
            first: candidates a batch in the first epoch.
            epoch: number of epochs before this one.
            epochs: number of epochs in all.
        """
        steps = math.floor(epoch / (epochs * self.every) + 1e-9)
        if self.factor <= 1 or self.limit <= first or not steps:
            return first
        if steps * math.log(self.factor) > math.log(self.limit / first):  # the power may overflow
            return self.limit
        return min(round(first * self.factor**steps), self.limit)


@dataclass(frozen=True)
class Rungs:
    """The rungs of a training.

    Attributes:
        candidates: number of candidates in an epoch.
        batch_size: candidates a batch at the beginning; limited to an epoch.
        epochs: number of epochs.
        report_every: candidates between rungs; 0 means an epoch.
        growth: growth of batches; none by default.
    """

    candidates: int
    batch_size: int
    epochs: int
    report_every: int
    growth: Growth = Growth()

    @classmethod
    def from_training(cls, training: Training, *, candidates: int) -> Rungs:
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
        """Return the end of the next rung after `seen`."""
        return min(self.boundary((seen // self.every + 1) * self.every), self.total)

    def boundary(self, seen: int) -> int:
        """Return the first end of a batch at or after `seen`."""
        return _aligned(seen, *self._sizes[self._size_index(seen)])

    def batch_size_of(self, epoch: int) -> int:
        """Return the number of candidates of batches that begin in an epoch; the first is 0."""
        size = self.growth.batch_size(self.batch_size, epoch=epoch, epochs=self.epochs)
        return min(size, self.candidates)

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        """Start and size of the batches of each size; sizes change at an epoch's first batch."""
        sizes = [(0, self.batch_size_of(0))]
        for epoch in range(1, self.epochs if self.growth.factor > 1 else 1):
            size = self.batch_size_of(epoch)
            if size != sizes[-1][1]:
                sizes.append((_aligned(epoch * self.candidates, *sizes[-1]), size))
        return sizes

    def _size_index(self, seen: int) -> int:
        """Return the index in `_sizes` of the batch that begins at or contains `seen`."""
        return bisect_right(self._sizes, seen, key=lambda size: size[0]) - 1

    def number(self, seen: int, previous: int) -> int:
        """Return the number of the rung that ends at `seen`, after rung `previous`."""
        return max(min(seen, self.epochs * self.candidates) // self.every, previous + 1)

    def segments(self, seen: int, target: int) -> Iterator[Segment]:
        """Yield the segments between two ends of batches, one for each batch size."""
        while seen < target:
            index = self._size_index(seen)
            last = index + 1 == len(self._sizes)
            stop = target if last else min(target, self._sizes[index + 1][0])
            size, next_size = (self._sizes[at][1] for at in (index, self._size_index(stop)))
            yield Segment(seen, stop, size, next_size)
            seen = stop


def _aligned(seen: int, begin: int, size: int) -> int:
    """Return the first end of a batch at or after `seen`, for batches of a size from `begin`."""
    return begin + -(-(seen - begin) // size) * size
