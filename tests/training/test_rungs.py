from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.training.rungs import Rungs, Segment

rungs = st.builds(
    Rungs,
    candidates=st.integers(1, 500),
    batch_size=st.integers(1, 200),
    epochs=st.integers(1, 4),
    report_every=st.integers(0, 900),
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
            assert segment.start % r.batch_size == 0
            assert segment.stop % r.batch_size == 0 or segment.stop == r.candidates
        seen = end


@settings(deadline=None)
@given(rungs)
def test_numbers_rise_and_a_rung_is_within_a_batch_of_its_place(r):
    number = 0
    for end in walk(r)[:-1]:
        previous, number = number, r.number(end, number)
        assert number > previous
        assert number * r.every <= end < number * r.every + r.batch_size


def test_trials_of_different_batch_sizes_number_their_rungs_alike():
    small = Rungs(candidates=10_000, batch_size=256, epochs=1, report_every=2000)
    large = Rungs(candidates=10_000, batch_size=4096, epochs=1, report_every=2000)
    assert walk(small) == [2048, 4096, 6144, 8192, 10_000]
    assert walk(large) == [4096, 8192, 10_000]
    assert [large.number(end, before) for end, before in ((4096, 0), (8192, 2))] == [2, 4]


def test_a_rung_may_span_epochs():
    r = Rungs(candidates=100, batch_size=40, epochs=3, report_every=150)
    assert walk(r) == [180, 300]
    assert list(r.segments(0, 180)) == [Segment(0, 0, 100), Segment(1, 0, 80)]
