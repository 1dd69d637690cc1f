"""Trials of these tests draw no figures: that would take half the time of a small one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tauopt.training import results


@pytest.fixture(scope="module", autouse=True)
def drawing() -> Generator[Callable[[], AbstractContextManager[None]]]:
    """Within `with drawing():` figures are drawn; tests that claim something of them need it."""
    really = results.write_figures

    def nothing(_: Any, folder: Path, **__: Any) -> list[Path]:
        folder.mkdir(exist_ok=True)
        return []

    @contextmanager
    def drawn() -> Generator[None]:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(results, "write_figures", really)
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "write_figures", nothing)
        yield drawn
