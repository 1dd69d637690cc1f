"""Room on the disk, looked at before it is needed."""

from __future__ import annotations

from functools import partial

from tauopt import durable

check_space = partial(
    durable.check_space,
    what="the prepared dataset",
    remedy="set TAUOPT_CACHE to another disk",
)
"""Refuse to go on when `folder` can't hold `needed` more bytes."""
