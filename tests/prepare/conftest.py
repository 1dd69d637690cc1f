"""Three small files of mixed candidates, shared by the tests of preparation."""

import pytest

from tests.ntuples_factory import columns, write


@pytest.fixture(scope="session")
def contents():
    """Columns of three files with event numbers that go on from file to file."""
    return [columns(400, seed=i, first_event=400 * i) for i in range(3)]


@pytest.fixture(scope="session")
def ntuples(tmp_path_factory, contents):
    """The folder of the three files."""
    folder = tmp_path_factory.mktemp("ntuples")
    for i, content in enumerate(contents):
        write(folder / f"{i}.root", content, baskets=2)
    return folder
