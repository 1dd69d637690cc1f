"""Timeline of a search: one trial at a time in a slot, and no time without a driver."""

import numpy as np
import pytest

from tauopt.figures.figure_style import SampleLabel
from tauopt.figures.search.timeline_figure import (
    DriverClock,
    DriverLife,
    WorkerBar,
    slots_of,
    timeline_figure,
)

SAMPLE = SampleLabel("demo", "validation split")
LIVES = [
    DriverLife(100.0, 160.0, False),
    DriverLife(4000.0, 4100.0, True),
    DriverLife(9000.0, 9010.0, True),
]


def random_bars(seed, count=50):
    rng = np.random.default_rng(seed)
    begins = np.round(rng.uniform(0, 100, count), 1)
    ends = np.round(begins + rng.uniform(0.1, 20, count), 1)
    return [
        WorkerBar(i, b, b, e, "pruned") for i, (b, e) in enumerate(zip(begins, ends, strict=True))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_slots_hold_one_trial_at_a_time_and_are_as_few_as_can_be(seed):
    bars = random_bars(seed)
    slots = slots_of(bars)
    for i, one in enumerate(bars):
        for j, other in enumerate(bars[:i]):
            together = one.begin < other.end and other.begin < one.end
            assert not together or slots[i] != slots[j]
    at_once = max(sum(b.begin <= bar.begin < b.end for b in bars) for bar in bars)
    assert max(slots) + 1 == at_once


def test_a_trial_that_follows_another_takes_its_slot():
    bars = [
        WorkerBar(0, 0, 1, 5, "complete"),
        WorkerBar(1, 0, 1, 9, "complete"),
        WorkerBar(2, 5, 6, 8, "pruned"),
    ]
    assert slots_of(bars) == [0, 1, 0]


def slow_driver_time(time):
    """Seconds up to a time in which a driver ran, in steps of a tenth."""
    steps = np.arange(0, time, 0.1) + 0.05
    return 0.1 * sum(((steps > d.begin) & (steps < d.end)).sum() for d in LIVES)


@pytest.mark.parametrize("time", [0, 100, 130, 160, 3000, 4050, 9005, 9500])
def test_time_without_a_driver_does_not_count(time):
    assert DriverClock(LIVES).at(time) == pytest.approx(slow_driver_time(time), abs=0.2)


def drawn():
    bars = [
        WorkerBar(7, 102, 105, 160, "cut off"),
        WorkerBar(8, 102, 105, 120, "failed"),
        WorkerBar(7, 4003, 4005, 4090, "complete"),
        WorkerBar(9, 4003, 4003, 9008, "unfinished"),
    ]
    return timeline_figure(bars, LIVES, sample=SAMPLE)


def test_interruptions_state_how_long_they_were_and_why():
    figure, points = drawn()
    texts = [text.get_text().strip() for text in figure.axes[0].texts]
    assert "killed, resumed 1.1 h later" in texts
    assert "stopped, resumed 1.4 h later" in texts
    assert figure.axes[0].get_xlabel() == "Time in which a driver ran (minutes)"
    assert [d["closed"] for d in points["drivers"]] == [False, True, True]


def test_each_outcome_has_a_look_that_differs_in_grey_or_by_its_hatching():
    figure, _ = drawn()
    legend = figure.axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["complete", "failed", "unfinished", "cut off", "getting ready"]
    looks = {
        (round(np.dot(p.get_facecolor()[:3], (0.3, 0.59, 0.11)), 1), p.get_hatch())
        for p in legend.get_patches()
    }
    assert len(looks) == len(names)


def test_points_are_seconds_since_the_beginning_with_their_slots():
    _, points = drawn()
    assert points["bars"][2] == {
        "trial": 7, "slot": 1, "outcome": "complete", "begin": 3903, "ready": 3905, "end": 3990,
    }  # fmt: skip


@pytest.mark.parametrize("lives", [[], LIVES])
@pytest.mark.parametrize("bars", [[], [WorkerBar(0, 150.0, 150.0, 150.0, "failed")]])
def test_little_can_be_drawn_too(bars, lives):
    figure, _ = timeline_figure(bars, lives, sample=SAMPLE)
    figure.canvas.draw()
    assert np.isfinite(figure.axes[0].get_xlim()).all()
