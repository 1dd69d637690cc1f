from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.config.experiment import Training
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
def test_the_last_rung_ends_with_the_last_epoch(r):
    assert walk(r)[-1] == r.total


@settings(deadline=None)
@given(rungs)
def test_segments_cover_every_candidate_of_every_epoch_once(r):
    seen, parts = 0, []
    for end in walk(r):
        parts += r.segments(seen, end)
        seen = end
    for epoch in range(r.epochs):
        mine = [p for p in parts if p.epoch == epoch]
        assert [p.start for p in mine] == [0, *(p.stop for p in mine[:-1])]
        assert mine[-1].stop == r.candidates


@settings(deadline=None)
@given(rungs)
def test_segments_begin_and_end_with_whole_batches(r):
    seen = 0
    for end in walk(r):
        for segment in r.segments(seen, end):
            assert segment.batch_size == r.batch_size_of(segment.epoch)
            assert segment.start % segment.batch_size == 0
            assert segment.stop % segment.batch_size == 0 or segment.stop == r.candidates
        seen = end


@settings(deadline=None)
@given(rungs)
def test_numbers_rise_and_a_rung_is_within_a_batch_of_its_place(r):
    number = 0
    for end in walk(r)[:-1]:
        previous, number = number, r.number(end, number)
        size = r.batch_size_of((end - 1) // r.candidates)
        assert number > previous
        assert number * r.every <= end < number * r.every + size


def test_trials_of_different_batch_sizes_number_their_rungs_alike():
    small = Rungs(candidates=10_000, batch_size=256, epochs=1, report_every=2000)
    large = Rungs(candidates=10_000, batch_size=4096, epochs=1, report_every=2000)
    assert walk(small) == [2048, 4096, 6144, 8192, 10_000]
    assert walk(large) == [4096, 8192, 10_000]
    assert [large.number(end, before) for end, before in ((4096, 0), (8192, 2))] == [2, 4]


def test_a_rung_may_span_epochs():
    r = Rungs(candidates=100, batch_size=40, epochs=3, report_every=150)
    assert walk(r) == [180, 300]
    assert list(r.segments(0, 180)) == [Segment(0, 0, 100, 40), Segment(1, 0, 80, 40)]


def sizes(**training):
    """Return candidates a batch in each epoch of a training."""
    r = Rungs.of(Training(**training), candidates=1000)
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


def test_batches_keep_their_size_unless_told_to_grow():
    assert sizes(batch_size=100, epochs=4) == [100] * 4


def test_endless_growth_ends_at_the_limit():
    grown = sizes(batch_size=1, batch_growth=16.0, batch_growth_every=0.001, epochs=3)
    assert grown == [1, 65_536, 65_536]


def test_a_rung_counts_batches_of_its_own_epoch():
    r = Rungs(candidates=100, batch_size=20, epochs=2, report_every=30, growth=Growth(2.0, 0.5, 99))
    assert walk(r) == [40, 60, 100, 140, 180, 200]
    assert list(r.segments(60, 180)) == [Segment(0, 60, 100, 20), Segment(1, 0, 80, 40)]
