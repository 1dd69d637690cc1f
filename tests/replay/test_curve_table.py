import numpy as np
import pytest

from tauopt.errors import CorruptError
from tauopt.replay.curve_table import CurveTable
from tests.replay.conftest import make_table


def test_a_table_is_read_back(table, tmp_path):
    table.save(tmp_path / "toy.npz")
    read = CurveTable.load(tmp_path / "toy.npz")
    assert read.space == table.space
    assert read.points == table.points
    assert (read.metrics, read.samples, read.name) == (table.metrics, table.samples, table.name)
    np.testing.assert_allclose(read.values, table.values, rtol=1e-6)
    np.testing.assert_allclose(read.truth, table.truth, rtol=1e-6)
    scale = np.abs(table.influences).max(axis=-1, keepdims=True)
    assert np.abs((read.influences - table.influences) / scale).max() < 0.005
    paired = read.curve(3, sample=1).paired_value(1, 2)
    assert paired.error == pytest.approx(np.linalg.norm(table.influences[1, 1, 3, 2]), rel=0.01)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_table_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "toy.npz").write_bytes(content)
    with pytest.raises(CorruptError, match=r"toy\.npz does not hold recorded curves"):
        CurveTable.load(tmp_path / "toy.npz")


def test_repeated_points_keep_all_their_trainings():
    table = make_table(seeds=2)
    some = np.ones(len(table.point), bool)
    some[-20:] = False  # the last twenty points were trained once
    cut = make_table(seeds=2)
    for name in ("point", "seed", "candidates"):
        object.__setattr__(cut, name, getattr(table, name)[some])
    for name, axis in (("loss", 1), ("values", 2), ("influences", 2), ("truth", 1)):
        object.__setattr__(cut, name, np.compress(some, getattr(table, name), axis=axis))
    repeated = cut.repeated()
    assert repeated.points == table.points[:10]
    assert [repeated.trainings_of(point) for point in range(10)] == [[p, p + 10] for p in range(10)]
    np.testing.assert_array_equal(repeated.truth[:, 10:], table.truth[:, 30:40])
