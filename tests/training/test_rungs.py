from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.settings.experiment import Training
from tauopt.training.rungs import Growth, Rungs, Segment

rungs = st.builds(
    Rungs,
    candidates=st.integers(1, 500),
    batch_size=st.integers(1, 200),
    epochs=st.integers(1, 4),
    report_every=st.integers(0, 900),
    growth=st.builds(
        Growth,
        factor=st.sampled_from([1.0, 1.3, 2.0, 16.0]),
        every=st.sampled_from([0.001, 0.25, 0.3, 1.0]),
        limit=st.integers(1, 1000),
    ),
)


def walk(r: Rungs) -> list[int]:
    """Return where each rung ends, by going through the training."""
    seen, ends = 0, []
    while seen < r.total:
        seen = r.next(seen)
        ends.append(seen)
    return ends


@settings(deadline=None)
@given(rungs)
def test_the_last_rung_ends_with_the_batch_in_which_the_last_epoch_ends(r):
    ends = walk(r)
    assert ends[-1] == r.total
    assert 0 <= r.total - r.epochs * r.candidates < r.batch_size_of(r.epochs - 1)


@settings(deadline=None)
@given(rungs)
def test_segments_follow_each_other_and_hold_whole_batches(r):
    seen, parts = 0, []
    for end in walk(r):
        parts += r.segments(seen, end)
        seen = end
    assert [p.start for p in parts] == [0, *(p.stop for p in parts[:-1])]
    for part in parts:
        assert part.stop > part.start
        assert (part.stop - part.start) % part.batch_size == 0
    for part, after in pairwise(parts):
        assert part.next_size == after.batch_size


@settings(deadline=None)
@given(rungs)
def test_a_batch_has_the_size_of_the_epoch_in_which_it_begins(r):
    seen = 0
    for end in walk(r):
        for part in r.segments(seen, end):
            for begin in range(part.start, part.stop, part.batch_size):
                assert part.batch_size == r.batch_size_of(begin // r.candidates)
        seen = end


def test_no_batch_is_short_however_little_an_epoch_leaves_over():
    """An epoch of ten batches and two candidates."""
    r = Rungs(candidates=2562, batch_size=256, epochs=3, report_every=0)
    assert walk(r) == [2816, 5376, 7936]
    assert list(r.segments(0, 2816)) == [Segment(0, 2816, 256, 256)]


def test_a_batch_of_more_than_an_epoch_is_an_epoch():
    r = Rungs(candidates=100, batch_size=4096, epochs=3, report_every=0)
    assert walk(r) == [100, 200, 300]
    assert next(r.segments(0, 100)).batch_size == 100


@settings(deadline=None)
@given(rungs)
def test_numbers_rise_and_a_rung_is_within_a_batch_of_its_place(r):
    number = 0
    for end in walk(r)[:-1]:
        previous, number = number, r.number(end, number)
        size = r.batch_size_of((end - 1) // r.candidates)
        assert number > previous
        assert number * r.every <= end < number * r.every + size
    last = r.number(r.total, number)
    assert number < last <= -(-r.epochs * r.candidates // r.every)


def test_trials_of_different_batch_sizes_number_their_rungs_alike():
    small = Rungs(candidates=10_000, batch_size=256, epochs=1, report_every=2000)
    large = Rungs(candidates=10_000, batch_size=4096, epochs=1, report_every=2000)
    assert walk(small) == [2048, 4096, 6144, 8192, 10_240]
    assert walk(large) == [4096, 8192, 12_288]
    assert [large.number(end, before) for end, before in ((4096, 0), (8192, 2))] == [2, 4]


def test_a_rung_may_span_epochs():
    r = Rungs(candidates=100, batch_size=40, epochs=3, report_every=150)
    assert walk(r) == [160, 320]
    assert list(r.segments(0, 160)) == [Segment(0, 160, 40, 40)]


def sizes(candidates=1000, **training):
    """Return candidates a batch in each epoch of a training."""
    r = Rungs.from_training(Training(**training), candidates=candidates)
    return [r.batch_size_of(epoch) for epoch in range(r.epochs)]


def test_batches_grow_at_the_stated_parts_of_the_training_up_to_the_limit():
    growing = {"batch_size": 100, "batch_growth": 2.0, "epochs": 8, "batch_growth_every": 0.25}
    assert sizes(**growing) == [100, 100, 200, 200, 400, 400, 800, 800]
    assert sizes(**growing, max_batch_size=500) == [100, 100, 200, 200, 400, 400, 500, 500]
    assert sizes(**growing, max_batch_size=50) == [100] * 8


def test_growth_between_epochs_waits_for_the_next_one():
    assert sizes(batch_size=10, batch_growth=3.0, batch_growth_every=0.3, epochs=5) == [
        10, 10, 30, 90, 90,
    ]  # fmt: skip
    assert sizes(batch_size=10, batch_growth=2.0, batch_growth_every=0.1, epochs=2) == [10, 320]


def test_batches_keep_their_size_without_growth():
    assert sizes(batch_size=100, epochs=4) == [100] * 4


def test_endless_growth_ends_at_the_limit():
    growing = {"batch_size": 1, "batch_growth": 16.0, "batch_growth_every": 0.001, "epochs": 3}
    assert sizes(candidates=100_000, **growing) == [1, 65_536, 65_536]
    assert sizes(candidates=1000, **growing) == [1, 1000, 1000]


def test_a_rung_counts_batches_of_its_own_epoch():
    r = Rungs(candidates=100, batch_size=20, epochs=2, report_every=30, growth=Growth(2.0, 0.5, 99))
    assert walk(r) == [40, 60, 100, 140, 180, 220]
    assert list(r.segments(60, 180)) == [Segment(60, 100, 20, 40), Segment(100, 180, 40, 40)]
