"""Trials of these tests draw no figures, except within `with_figures`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.undrawn import without_figures


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    with without_figures():
        yield
