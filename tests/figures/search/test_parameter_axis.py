"""Positions and ticks on the axis of a hyperparameter: log, linear, whole numbers, choices."""

import math

import numpy as np
import pytest

from tauopt.figures.search.parameter_axis import ChoiceAxis, NumberAxis, spread
from tauopt.figures.search.parameter_names import short_names, text_of


@pytest.mark.parametrize("seed", range(4))
def test_positions_are_linear_in_the_value_or_in_its_logarithm(seed):
    """Halfway between two values is halfway between their positions, found by bisection."""
    rng = np.random.default_rng(seed)
    low, high = np.sort(10 ** rng.uniform(-4, 3, 2))
    for log in (True, False):
        axis = NumberAxis("x", low, high, log=log)
        ends, places = [low, high], [0.0, 1.0]
        value = rng.uniform(low, high)
        for _ in range(60):
            middle = math.sqrt(ends[0] * ends[1]) if log else (ends[0] + ends[1]) / 2
            half = (places[0] + places[1]) / 2
            side = 0 if value >= middle else 1
            ends[side], places[side] = middle, half
        assert axis.position(value) == pytest.approx(places[0], abs=1e-9)


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        (NumberAxis("x", 1e-4, 1e-2, log=True), ["0.0001", "0.001", "0.01"]),
        (NumberAxis("x", 5e-4, 1e-2, log=True), ["0.0005", "0.001", "0.002", "0.005", "0.01"]),
        (NumberAxis("x", 16, 48, log=True, whole=True), ["16", "20", "30", "40", "48"]),
        (NumberAxis("x", 0.0, 0.3), ["0", "0.1", "0.2", "0.3"]),
        (NumberAxis("x", 4, 10, whole=True), ["4", "6", "8", "10"]),
        (NumberAxis("x", 0, 2, whole=True), ["0", "1", "2"]),
        (NumberAxis("x", 3, 3, whole=True), ["3"]),
        (ChoiceAxis("x", ("lstm", "gru", "")), ["lstm", "gru", '""']),
        (ChoiceAxis("x", (512, 1024)), ["512", "1024"]),
        (ChoiceAxis("x", (True, 1, 1.5)), ["True", "1", "1.5"]),
    ],
)
def test_ticks_are_the_ends_and_round_values_between_them(axis, texts):
    assert [text for _, text in axis.ticks()] == texts
    positions = [axis.position(value) for value, _ in axis.ticks()]
    assert positions == sorted(positions)
    assert all(0 <= position <= 1 for position in positions)


@pytest.mark.parametrize("seed", range(20))
def test_ticks_of_any_range_are_few_apart_and_inside(seed):
    rng = np.random.default_rng(seed)
    low = 10 ** rng.uniform(-6, 3)
    axis = NumberAxis("x", low, low * 10 ** rng.uniform(0.1, 5), log=bool(seed % 2))
    positions = [axis.position(value) for value, _ in axis.ticks()]
    assert 2 <= len(positions) <= 9
    assert (positions[0], positions[-1]) == (0.0, pytest.approx(1.0))
    assert np.diff(positions).min() > 0.05


def test_equal_choices_of_different_types_have_different_positions():
    axis = ChoiceAxis("x", (1, True, "1"))
    assert [axis.position(value) for value in (1, True, "1")] == [0.0, 0.5, 1.0]


def test_short_names_drop_sections_unless_two_would_be_the_same():
    paths = ["model.groups.tracks.units", "training.learning_rate", "model.units", "training.units"]
    assert short_names(paths) == {
        "model.groups.tracks.units": "tracks.units", "training.learning_rate": "learning_rate",
        "model.units": "model.units", "training.units": "training.units",
    }  # fmt: skip


def test_spread_marks_fill_their_room_evenly():
    for count in (1, 2, 10, 100):
        offsets = np.sort(spread(count))
        assert len(set(offsets)) == count
        assert np.abs(offsets).max() <= 1
        assert count < 10 or np.diff(offsets).max() < 6 / count


def test_long_texts_are_cut():
    assert text_of("my_package.models:MyHyperModel") == "my_package.models…"
