import numpy as np

from tauopt.simulate.columns import leading, offsets, pairs, rank, total


def _slow_pairs(left, right):
    return [(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b]


def test_pairs_are_those_of_a_double_loop():
    rng = np.random.default_rng(1)
    for _ in range(30):
        n = int(rng.integers(1, 6))
        left = np.sort(rng.integers(n, size=rng.integers(0, 8)))
        right = np.sort(rng.integers(n, size=rng.integers(0, 8)))
        first, second = pairs(left, right, n)
        assert list(zip(first, second, strict=True)) == _slow_pairs(left, right)


def test_groups_may_have_no_rows():
    groups = np.array([0, 0, 2, 2, 2])
    assert offsets(groups, 4).tolist() == [0, 2, 2, 5, 5]
    assert leading(groups, 4).tolist() == [0, -1, 2, -1]
    assert rank(groups, 4).tolist() == [0, 1, 0, 1, 2]
    assert total(np.ones(5), groups, 4).tolist() == [2, 0, 3, 0]
