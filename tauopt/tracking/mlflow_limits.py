"""Keep to MLflow's limits: sizes of a batch, and characters of a name."""

from __future__ import annotations

import posixpath
import re
from typing import Any

METRICS, PARAMS = 900, 90
"""Most metrics, and most params or tags, of a batch; MLflow takes 1000 and 100."""


def parts(
    metrics: list[Any], params: list[Any], tags: list[Any]
) -> list[tuple[list[Any], list[Any], list[Any]]]:
    """Split a batch into parts within MLflow's limits; almost always one part."""
    number = max(-(-len(metrics) // METRICS), -(-len(params) // PARAMS), -(-len(tags) // PARAMS))
    return [
        (
            metrics[i * METRICS : (i + 1) * METRICS],
            params[i * PARAMS : (i + 1) * PARAMS],
            tags[i * PARAMS : (i + 1) * PARAMS],
        )
        for i in range(number)
    ]


def clean(name: str) -> str:
    """Return a name that MLflow accepts.

    `rejection@0.75` -> `rejection_at_0.75`; `rejection@[0.6, 0.9]` -> `rejection_at_0.6-0.9`.
    """
    name = re.sub(r"@\[([\d.]+), ([\d.]+)\]", r"@\1-\2", name)
    allowed = re.sub(r"[^/\w.\- :]", "_", name.replace("@", "_at_"))
    return posixpath.normpath(allowed.lstrip("/")).replace("..", "__")[:250]
