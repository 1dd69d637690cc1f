import numpy as np

from tauopt.physics.kinematics import delta_phi
from tauopt.simulate.jets import find_jets, find_members


def _slow_anti_kt(vectors, radius):
    """Cluster by the definition (arXiv:0802.1189): O(N^3), one event, E scheme."""
    left, jets = [(v, {i}) for i, v in enumerate(vectors)], []
    while left:
        best = (np.inf, 0, 0)
        for i, (a, _) in enumerate(left):
            pt_a = np.hypot(a[0], a[1])
            best = min(best, (pt_a**-2, i, i))
            for j in range(i):
                b = left[j][0]
                best = min(best, (_distance(a, b, radius), i, j))
        _, i, j = best
        if i == j:
            jets.append(left.pop(i))
        else:
            merged = (left[i][0] + left[j][0], left[i][1] | left[j][1])
            left = [item for k, item in enumerate(left) if k not in (i, j)] + [merged]
    return jets


def _distance(a, b, radius):
    def rapidity(v):
        return 0.5 * np.log((v[3] + v[2]) / (v[3] - v[2]))

    d_phi = delta_phi(np.arctan2(a[1], a[0]), np.arctan2(b[1], b[0]))
    d2 = (rapidity(a) - rapidity(b)) ** 2 + d_phi**2
    return min(np.hypot(a[0], a[1]) ** -2, np.hypot(b[0], b[1]) ** -2) * d2 / radius**2


def _event(rng, n):
    return rng.exponential(10, n) + 0.1, rng.normal(0, 0.6, n), rng.uniform(-0.8, 0.8, n)


def test_jets_and_their_members_are_those_of_the_definition():
    rng = np.random.default_rng(8)
    sizes = [12, 0, 9]
    events = [_event(rng, n) for n in sizes]
    pt, eta, phi = (np.concatenate([event[i] for event in events]) for i in range(3))
    number = np.repeat(np.arange(3), sizes)
    jets = find_jets(pt, eta, phi, number, n_events=3, radius=0.4, min_pt=5.0)
    members = find_members(pt, eta, phi, number, n_events=3, radius=0.4, min_pt=5.0)
    clustered = {frozenset(np.flatnonzero(members == m)) for m in np.unique(members[members >= 0])}
    expected, expected_pt, start = set(), [], 0
    for (e_pt, e_eta, e_phi), n in zip(events, sizes, strict=True):
        p4 = np.stack([e_pt * np.cos(e_phi), e_pt * np.sin(e_phi), e_pt * np.sinh(e_eta),
                       e_pt * np.cosh(e_eta)], axis=1)  # fmt: skip
        for vector, rows in _slow_anti_kt(list(p4), 0.4):
            if np.hypot(vector[0], vector[1]) > 5.0:
                expected.add(frozenset(start + row for row in rows))
                expected_pt.append(np.hypot(vector[0], vector[1]))
        start += n
    assert clustered == expected
    np.testing.assert_allclose(np.sort(jets.pt), np.sort(expected_pt))


def test_jets_of_an_event_come_in_descending_order():
    rng = np.random.default_rng(9)
    pt, eta, phi = _event(rng, 40)
    jets = find_jets(pt, eta, phi, np.zeros(40, int), n_events=1, radius=0.2, min_pt=1.0)
    assert np.all(np.diff(jets.pt) <= 0)
    assert len(jets) > 3
