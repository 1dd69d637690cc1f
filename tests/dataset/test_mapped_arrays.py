"""Arrays mapped into memory are those that numpy.save wrote, without parsing Python source."""

import ast

import numpy as np
import pytest

from tauopt.dataset.mapped_arrays import map_array
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.stream.batches import batches
from tests.dataset.test_prepared_dataset import ALL
from tests.prepared_factory import CLASSES, prepared_dataset


@pytest.mark.parametrize("shape", [(5,), (1,), (0,), (3, 4), (0, 7), (2, 3, 4), ()])
@pytest.mark.parametrize("dtype", ["int16", "int64", "float32", "uint8", "bool"])
def test_an_array_is_as_numpy_saved_it(tmp_path, shape, dtype):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    mapped = map_array(tmp_path / "a.npy")
    np.testing.assert_array_equal(mapped, array, strict=True)
    assert not mapped.flags.writeable


def test_columns_first_and_longer_headers_are_read_too(tmp_path):
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    for version in ((1, 0), (2, 0), (3, 0)):
        with (tmp_path / "a.npy").open("wb") as stream:
            np.lib.format.write_array(stream, array, version=version)
        np.testing.assert_array_equal(map_array(tmp_path / "a.npy"), array, strict=True)


@pytest.mark.parametrize("kept", [0, 5, 40, 100, 130])
def test_a_file_that_is_cut_off_is_an_error(tmp_path, kept):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(10))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises((OSError, ValueError)):
        map_array(path)


@pytest.mark.parametrize("array", [np.arange(3, dtype=">i4"), np.array([{}], dtype=object)])
def test_numbers_of_other_machines_and_objects_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=r"expected the header of a \.npy file"):
        map_array(tmp_path / "a.npy")


def test_readers_parse_no_python_source(tmp_path, monkeypatch):
    """Until Python 3.11.7 that may fail where another thread does the same."""
    dataset = open_dataset(prepared_dataset(tmp_path, candidates=200, chunk_size=50))
    spec, labels = input_spec(dataset.manifest, ALL, {"tracks": 4}), task_labels(CLASSES, ALL)

    def refuse(*args, **kwargs):
        raise AssertionError("Python source was parsed")

    monkeypatch.setattr(ast, "parse", refuse)
    with pytest.raises(AssertionError, match="was parsed"):
        np.load(next(dataset.folder.glob("*/labels.npy")), mmap_mode="r")
    stream = batches(dataset.train, spec=spec, batch_size=32, seed=1, label_map=labels, readers=2)
    assert sum(len(batch.labels) for batch in stream) > 0
