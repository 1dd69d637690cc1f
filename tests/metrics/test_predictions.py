import numpy as np
import pytest

from tauopt.errors import CorruptError, DataError
from tauopt.metrics.predictions import Predictions
from tests.metrics.toys import several_classes


@pytest.fixture
def predictions():
    return several_classes(np.random.default_rng(1), candidates=200)


def test_score_is_the_probability_of_all_signal_classes(predictions):
    np.testing.assert_allclose(predictions.score, 1 - predictions.probabilities[:, 0], atol=1e-6)
    np.testing.assert_array_equal(predictions.is_signal, predictions.labels > 0)


def test_saved_predictions_come_back_the_same(predictions, tmp_path):
    predictions.save(tmp_path / "predictions.npz")
    back = Predictions.load(tmp_path / "predictions.npz")
    assert (back.classes, back.signal) == (predictions.classes, predictions.signal)
    np.testing.assert_array_equal(back.probabilities, predictions.probabilities)
    np.testing.assert_array_equal(back.weights, predictions.weights)
    assert list(back.columns) == ["prongs", "pt"]
    np.testing.assert_array_equal(back.columns["prongs"], predictions.columns["prongs"])
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_predictions_cut_short_are_corrupt(predictions, tmp_path, keep):
    path = tmp_path / "predictions.npz"
    predictions.save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptError, match=r"predictions\.npz"):
        Predictions.load(path)


def test_pickles_in_predictions_are_not_opened(tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, probabilities=np.array([print], dtype=object))
    with pytest.raises(CorruptError):
        Predictions.load(path)


def test_selecting_keeps_all_columns_in_step(predictions):
    chosen = predictions.with_prongs(3)
    assert (chosen.columns["prongs"] == 3).all()
    assert len(chosen) == (predictions.columns["prongs"] == 3).sum()
    np.testing.assert_array_equal(
        chosen.columns["pt"], predictions.columns["pt"][predictions.columns["prongs"] == 3]
    )


def test_selecting_by_prongs_without_that_spectator_is_an_error(predictions):
    bare = Predictions(
        predictions.probabilities, predictions.labels, predictions.weights,
        classes=predictions.classes, signal=predictions.signal,
    )  # fmt: skip
    with pytest.raises(DataError, match="needs the spectator 'prongs'"):
        bare.with_prongs(1)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": np.ones((200, 3))},
        {"weights": np.ones(199)},
        {"labels": np.full(200, 4)},
        {"signal": ("tau",)},
        {"columns": {"pt": np.ones(3)}},
    ],
)
def test_parts_that_do_not_fit_together_are_an_error(predictions, change):
    parts = {
        name: getattr(predictions, name)
        for name in ("probabilities", "labels", "weights", "classes", "signal", "columns")
    }
    with pytest.raises(DataError):
        Predictions(**(parts | change))
