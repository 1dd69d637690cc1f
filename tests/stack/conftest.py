"""One stack for all tests here: it takes a quarter of a minute to start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.stack.searches import write_files
from tests.stack.stack import postgres_bin, running


@pytest.fixture(scope="session")
def stack():
    if postgres_bin() is None:
        pytest.skip("needs PostgreSQL's programs (initdb, postgres)")
    # Not pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="tauopt-stack-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder) as found:
            write_files(folder)
            yield found
