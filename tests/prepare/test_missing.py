"""NaN and infinite features: never silent."""

from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest

from tauopt.config.settings.inputs import Transform
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import DataError
from tauopt.prepare.dataset_expressions import make_plan
from tauopt.prepare.missing import TrainingMeans, is_missing
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write

BAD = {1: np.nan, 12: np.inf, 23: -5.0}
"""Entry -> momentum; the last has no logarithm. All train."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Candidates of which three have a bad momentum and one has two bad tracks."""
    content = columns(400)
    for entry, value in BAD.items():
        content["pt"][entry] = value
    d0 = content["track_d0"].tolist()
    row = next(i for i, tracks in enumerate(d0) if len(tracks) > 2 and i > 23 and i % 10 < 6)
    d0[row][:2] = [np.nan, np.inf]
    content["track_d0"] = ak.values_astype(ak.Array(d0), np.float32)
    folder = tmp_path_factory.mktemp("missing")
    write(folder / "a.root", content)
    return folder, content, row


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({}, [False, False, False, True, True]),
        ({"log10": True}, [True, True, False, True, True]),
        ({"log10": True, "abs": True}, [False, True, False, True, True]),
        ({"log10": True, "min": 0.1}, [False, False, False, True, True]),
        ({"log10": True, "abs": True, "offset": 1e-6}, [False, False, False, True, True]),
    ],
)
def test_value_without_logarithm_is_missing(transform, expected):
    values = np.array([-1, 0, 1, np.nan, np.inf], dtype=np.float32)
    assert is_missing(values, Transform(**transform)).tolist() == expected


def _dataset(folder, **changes):
    changes.setdefault("spectators", {})
    settings = dataset(folder, **changes)
    features = {k: v for k, v in settings.groups["tracks"].features.items() if k != "pt_jet"}
    group = settings.groups["tracks"].model_copy(update={"features": features})
    return settings.model_copy(update={"groups": {"tracks": group}})


def test_policy_error_counts_by_feature_and_names_entries(folder, tmp_path):
    with pytest.raises(DataError) as caught:
        prepare(_dataset(folder[0]), cache=tmp_path)
    message = str(caught.value)
    assert "4 of 400 candidates" in message
    assert "candidate.log_pt: 3, tracks.d0: 1; entries 1, 12, 23, ..." in message


def test_policy_drop_leaves_candidates_out_and_counts_them(folder, tmp_path):
    found = open_dataset(prepare(_dataset(folder[0], missing="drop"), cache=tmp_path))
    numbers = found.train.columns(["event_numbers"])["event_numbers"]
    assert not set(numbers.tolist()) & {*BAD, folder[2]}
    assert len(numbers) == 240 - 4
    assert found.manifest.dropped == {
        "missing feature": 4,
        "missing feature candidate.log_pt": 3,
        "missing feature tracks.d0": 1,
    }
    assert sum(found.manifest.left_out["all"]["missing feature"].values()) == 4


def test_policy_impute_replaces_values_by_the_training_mean_and_counts_them(folder, tmp_path):
    found = open_dataset(prepare(_dataset(folder[0], missing="impute"), cache=tmp_path))
    assert found.manifest.imputed == {"candidate.log_pt": 3, "tracks.d0": 2}
    _, content, row = folder
    good = [i for i in range(400) if i % 10 < 6 and i not in BAD]
    mean = content["pt"][good].astype(float).mean()
    seen = 0
    for chunk in found.train.chunks:
        for i, number in enumerate(chunk.event_numbers.tolist()):
            if number in BAD:
                assert chunk.candidate[i, 0] == pytest.approx(mean, rel=1e-6)
                seen += 1
            if number == row:
                values, offsets = chunk.group("tracks")
                d0 = values[offsets[i] : offsets[i + 1], 1]
                assert d0[:2] != pytest.approx([0, 0])
                assert np.isfinite(d0).all()
    assert seen == 3


def test_mean_without_logarithm_can_not_be_imputed():
    plan = make_plan(dataset("/", candidate={"x": {"abs": True, "log10": True}}, groups={}))
    with pytest.raises(DataError, match=r"candidate\.x: its training mean 0 has no logarithm"):
        TrainingMeans(plan).fit([_one_column([-1.0, 1.0])], needed=["candidate.x"])


def test_feature_without_any_value_can_not_be_imputed():
    plan = make_plan(dataset("/", candidate={"x": {}}, groups={}))
    with pytest.raises(DataError, match="all its values in the training split are missing"):
        TrainingMeans(plan).fit([_one_column([np.nan])], needed=["candidate.x"])
    TrainingMeans(plan).fit([_one_column([np.nan])], needed=[])


def _one_column(values):
    return SimpleNamespace(candidate=np.array(values, dtype=np.float32)[:, None], groups={})
