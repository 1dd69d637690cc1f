import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tauopt.cli.app import build_app
from tauopt.errors import UsageError
from tauopt.ntuples.file_formats import open_source
from tauopt.physics.jagged import Jagged
from tauopt.workflows.prepare import FORMATS, TABLE, convert, prepare
from tests import ntuples_factory


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    ntuples_factory.write(folder / "in" / "a.root", ntuples_factory.columns(400))
    return prepare(ntuples_factory.dataset(folder / "in"), cache=folder / "cache")


@pytest.mark.parametrize("to", FORMATS)
def test_converted_files_hold_the_chunks_of_the_dataset(prepared, tmp_path, to):
    files = convert(prepared, to=to, folder=tmp_path / "out")
    assert [path.name for path in files[:2]] == [f"train-00000.{to}", f"train-00001.{to}"]
    objects = "tracks." if to == "hdf5" else "tracks_"
    names = ["label", "weight", "event_number", "log_pt", "eta", "pt", "prongs"]
    names += [f"{objects}{name}" for name in ("pt", "d0", "pt_jet")]
    for path, chunk in zip(files, prepared.train.chunks, strict=False):
        (read,) = open_source(path, tree=TABLE).iterate(names)
        np.testing.assert_array_equal(read["label"], chunk.labels)
        np.testing.assert_array_equal(read["weight"], chunk.weights)
        np.testing.assert_array_equal(read["event_number"], chunk.event_numbers)
        for i, name in enumerate(("log_pt", "eta")):
            np.testing.assert_array_equal(read[name], chunk.candidate[:, i])
        np.testing.assert_array_equal(read["prongs"], chunk.spectators[:, 1])
        values, offsets = chunk.group("tracks")
        for i, name in enumerate(("pt", "d0", "pt_jet")):
            column = read[f"{objects}{name}"]
            assert isinstance(column, Jagged)
            np.testing.assert_array_equal(column.offsets, offsets)
            np.testing.assert_array_equal(column.content, values[:, i])


def test_an_unknown_format_is_refused_before_any_work(tmp_path):
    settings = ntuples_factory.dataset_settings(tmp_path / "in")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(settings))
    ended = CliRunner().invoke(build_app(), ["prepare", str(tmp_path / "data.yaml"), "--to", "hdf"])
    assert isinstance(ended.exception, UsageError)
    assert "no format 'hdf' (did you mean 'hdf5'?)" in str(ended.exception)
