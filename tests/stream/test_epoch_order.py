from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tauopt.stream.epoch_order import chunk_generator, chunk_order, shuffle_rows


@settings(deadline=None)
@given(st.integers(0, 700), st.integers(1, 90), st.integers(0, 5), st.data())
def test_shuffling_keeps_every_row_once_and_sorts_within_batches(count, batch_size, seed, data):
    first = data.draw(st.integers(0, batch_size - 1))
    block = data.draw(st.sampled_from([1, 7, 32]))
    rows = np.arange(count) * 3
    rng = np.random.default_rng(seed)
    shuffled = shuffle_rows(rows, batch_size=batch_size, rng=rng, first=first, block=block)
    np.testing.assert_array_equal(np.sort(shuffled), rows)
    np.testing.assert_array_equal(rows, np.arange(count) * 3)
    edges = [0, *range(first, count, batch_size), count]
    for begin, end in itertools.pairwise(edges):
        assert (np.diff(shuffled[begin:end]) > 0).all()


def test_each_row_of_a_window_is_in_either_batch_equally_often_and_by_itself():
    """Blocks as large as the chunk leave one window in stored order: only single rows move."""
    generators = [chunk_generator(0, seed=1, epoch=epoch) for epoch in range(2000)]
    orders = [shuffle_rows(np.arange(60), batch_size=30, rng=rng, block=60) for rng in generators]
    in_first = np.argsort(orders, axis=1) < 30
    assert (in_first.sum(axis=1) == 30).all()
    error = 0.5 / np.sqrt(2000)
    assert np.abs(in_first.mean(axis=0) - 0.5).max() < 4.5 * error
    correlations = np.corrcoef(in_first.T)[np.triu_indices(60, k=1)]
    assert correlations.mean() == pytest.approx(-1 / 59, abs=0.003)  # as when drawn without return
    assert np.abs(correlations + 1 / 59).max() < 5 / np.sqrt(2000)


def test_orders_differ_by_seed_epoch_and_chunk_and_are_repeatable():
    def rows(chunk: int, seed: int, epoch: int) -> list[int]:
        rng = chunk_generator(chunk, seed=seed, epoch=epoch)
        return shuffle_rows(np.arange(1000), batch_size=64, rng=rng).tolist()

    variants = [rows(0, 1, 0), rows(1, 1, 0), rows(0, 2, 0), rows(0, 1, 1)]
    assert len({tuple(variant) for variant in variants}) == 4
    assert variants[0] == rows(0, 1, 0)
    orders = {tuple(chunk_order(9, seed=s, epoch=e)) for s in range(4) for e in range(4)}
    assert len(orders) == 16


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    """Number of the batch of 100 that each row is in, in 300 epochs, (epoch, row)."""
    generators = [chunk_generator(0, seed=5, epoch=epoch) for epoch in range(300)]
    orders = [shuffle_rows(np.arange(4000), batch_size=100, rng=rng) for rng in generators]
    return np.argsort(orders, axis=1) // 100


def test_every_row_is_as_likely_in_any_batch(batch):
    # A batch is uniform on 0..39: mean 19.5, standard deviation 11.54; of 4000 means over 300
    # epochs none should be off by more than 5 standard errors.
    error = 11.54 / np.sqrt(len(batch))
    assert np.abs(batch.mean(axis=0) - 19.5).max() < 5 * error
    assert abs(batch.std() - 11.54) < 0.05


def test_epochs_are_not_correlated(batch):
    correlations = np.corrcoef(batch)[np.triu_indices(len(batch), k=1)]
    # Blocks of 32 leave 125 independent places.
    assert np.abs(correlations).max() < 5.5 / np.sqrt(125)
    assert abs(correlations.mean()) < 0.005


def test_far_rows_meet_in_a_batch_equally_often_whatever_their_distance(batch):
    # The window fills a batch with 16 neighbours of a row on average; the rest comes from anywhere.
    for distance in (40, 100, 333, 1000, 2500):
        together = (batch[:, distance:] == batch[:, :-distance]).mean()
        assert together == pytest.approx((100 - 16) / 4000, rel=0.07)


def test_near_rows_are_parted_half_of_the_time_at_least(batch):
    # Neighbours share a window of two batches at most, and blocks begin elsewhere each epoch.
    for distance in (1, 5, 20):
        together = (batch[:, distance:] == batch[:, :-distance]).mean()
        assert together < 0.52


def test_a_batch_is_a_fair_sample_of_a_chunk_that_is_mixed():
    rng = np.random.default_rng(2)
    is_signal = rng.random(100_000) < 0.3
    rows = shuffle_rows(np.arange(100_000), batch_size=500, rng=rng)
    counts = is_signal[rows].reshape(-1, 500).sum(axis=1)
    expected = 500 * is_signal.mean()
    chi2 = ((counts - expected) ** 2 / (expected * 0.7)).sum()
    assert abs(chi2 - 200) < 4 * np.sqrt(2 * 200)
