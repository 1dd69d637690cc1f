"""Warnings of constant, far-out and leaking features, and none of other features."""

import numpy as np
import pytest

from tauopt.config.settings.inputs import CANDIDATE, Transform
from tauopt.physics.expressions import parse
from tauopt.prepare.constants import Constants
from tauopt.prepare.dataset_expressions import FeaturePlan
from tauopt.prepare.feature_warnings import feature_warnings
from tauopt.prepare.prepare_dataset import prepare
from tauopt.prepare.running_statistics import sampling_keys
from tests.ntuples_factory import columns, dataset, dataset_settings, write


def _warnings(labels=None, *, name=CANDIDATE, **features):
    """Return the warnings of a group of features, each given as values and transform."""
    plans = [
        FeaturePlan(name_, f"{name}.{name_}", parse(name_), Transform(**transform))
        for name_, (_, transform) in features.items()
    ]
    group = Constants(name, plans)
    values = np.column_stack([values for values, _ in features.values()]).astype(np.float32)
    rows = len(values)
    labels = np.arange(rows) % 2 if labels is None else labels
    group.update(
        values, sampling_keys(np.arange(rows), np.zeros(rows, int)), labels.astype(np.int16)
    )
    found = {name: group}
    summaries = {name: group.summaries()}
    return list(feature_warnings(found, summaries, classes=("jet", "tau")))


STANDARD = {"scale": "standard"}


def _normal(rows=5000):
    return np.random.default_rng(1).normal(5.0, 2.0, rows)


@pytest.mark.parametrize("transform", [{"scale": s} for s in ("standard", "minmax", "none")])
def test_constant_features_are_named_once(transform):
    (warning,) = _warnings(x=(np.full(50, 3.0), transform), y=(_normal(50), STANDARD))
    assert warning == (
        "constant in the training split, so a network learns nothing from them (take them out): "
        "candidate.x"
    )


def test_a_feature_of_equal_values_has_no_robust_spread():
    values = np.repeat([0.0, 1.0], [90, 10])
    (warning,) = _warnings(x=(values, {"scale": "robust"}))
    assert warning.startswith("half of all values are equal")
    assert warning.endswith(": candidate.x")
    assert not _warnings(x=(values, STANDARD))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (STANDARD, "candidate.x to 70.7 deviations (99.9 % are below -0.01"),
        ({"scale": "minmax"}, "candidate.x to 70.7 deviations (99.9 % are below -0.01"),
        ({"scale": "robust"}, "candidate.x to 5.01e+05 deviations"),
        ({}, "candidate.x to 1e+06 (99.9 % are below 1"),
        ({"divide": 2.0}, "candidate.x to 5e+05 (99.9 % are below "),
        (STANDARD | {"clip_quantiles": (0.001, 0.999)}, ""),
        ({"scale": "minmax", "clip_quantiles": (0.001, 0.999)}, ""),
        (STANDARD | {"max": 15.0}, ""),
        (STANDARD | {"log10": True, "min": 0.1}, ""),
    ],
)
def test_values_far_from_the_order_of_one_are_named_with_their_tail(transform, expected):
    values = _normal()
    values[7] = 1e6
    found = _warnings(x=(values, transform), y=(_normal(), STANDARD))
    assert len(found) == bool(expected)
    if expected:
        assert f"far from the order of one: {expected}" in found[0]
        assert "clip_quantiles: [0.001, 0.999]" in found[0]
        assert "candidate.y" not in found[0]


def test_the_five_features_that_reach_farthest_are_named_and_the_others_counted():
    far = {f"x{i}": (np.append(_normal(), -1e6 * (i + 1)), {}) for i in range(7)}
    (warning,) = _warnings(**far)
    assert "one: candidate.x6 to -7e+06 (99.9 % are above -" in warning
    assert ", and 2 more; give" in warning


def test_a_feature_that_separates_classes_alone_is_named_with_its_area_and_error():
    rng, labels = np.random.default_rng(1), np.arange(4000) % 2
    truth = rng.choice([1, 5, 21], 4000) * (labels == 0) + 15 * (labels == 1)
    good = rng.normal(2.5 * labels)  # an area of 0.96, better than any single variable
    found = _warnings(labels, truth=(truth, STANDARD), good=(good, STANDARD))
    assert len(found) == 1
    named = "candidate.truth (jet against tau: AUC 1.0000 ± 0.0000, of 1029 and 971 candidates); is"
    assert f"perfectly: {named} it truth" in found[0]
    few = labels.copy()
    few[few == 1] = np.arange(2000) < 150  # 75 in the half that is judged
    assert not _warnings(few, truth=(few, STANDARD))


def test_a_separation_that_is_clipped_away_causes_no_warning():
    labels = np.arange(4000) % 2
    values = np.random.default_rng(1).normal(size=4000) - 1000 * labels
    assert "AUC" in "".join(_warnings(labels, x=(values, STANDARD)))
    values = np.abs(np.where(labels, -1000 - values, values))
    assert not _warnings(labels, x=(values, STANDARD | {"max": 0.1}))


@pytest.mark.parametrize("stream", ["prepared", "direct"])
def test_preparation_warns_once_of_each_problem(tmp_path, caplog, stream):
    content = columns(2000)
    content["pt"][5] = 1e9
    write(tmp_path / "in" / "a.root", content)
    settings = dataset_settings(tmp_path / "in")
    tracks = {
        **settings["groups"]["tracks"]["features"],
        "truth": {"expression": "is_tau + pt * 0"},
    }
    del tracks["pt_jet"]
    prepare(
        dataset(
            tmp_path / "in",
            stream=stream,
            candidate={"pt": STANDARD, "same": {"expression": "pt > 0", **STANDARD}},
            groups={"tracks": {"features": tracks}},
        ),
        cache=tmp_path,
    )
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert [one.partition(": ")[2].split(" ")[0] for one in messages] == [
        "candidate.same",
        "candidate.pt",
        "tracks.truth",
    ]
