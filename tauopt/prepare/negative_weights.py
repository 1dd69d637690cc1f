"""Negative weights: kept, left out, or taken without their sign."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tauopt.prepare.candidate_blocks import Block

NegativeWeights = Literal["keep", "drop", "absolute"]


def treat_negative(
    block: Block, policy: NegativeWeights, *, classes: int
) -> tuple[Block, NDArray[np.int64]]:
    """Apply the policy.

    Args:
        block: candidates as read.
        policy: `drop` leaves candidates with a negative weight out, `absolute` takes weights
            without their sign.
        classes: number of classes.
    Returns:
        the candidates; how many of each class had a negative weight.
    """
    negative = block.weights < 0
    counts = np.bincount(block.labels[negative], minlength=classes)
    if policy == "drop":
        return block.take(~negative), counts
    if policy == "absolute":
        return block.with_weights(np.abs(block.weights)), counts
    return block, counts
