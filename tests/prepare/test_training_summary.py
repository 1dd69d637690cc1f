"""The readable files beside the chunks agree with the manifest and with the candidates."""

import csv

import numpy as np
import pytest
import yaml

from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import CorruptError
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import dataset

FEATURES = {
    "log_pt": {
        "expression": "pt",
        "divide": 1000,
        "log10": True,
        "scale": "robust",
        "clip_quantiles": [0.01, 0.99],
    },
    "eta": {"scale": "minmax"},
}


@pytest.fixture(scope="module")
def prepared(ntuples, tmp_path_factory):
    settings = dataset(ntuples, candidate=FEATURES)
    return open_dataset(prepare(settings, cache=tmp_path_factory.mktemp("cache")))


def test_yaml_holds_expression_transform_and_the_manifests_constants(prepared):
    summary = yaml.safe_load((prepared.folder / "constants.yaml").read_text())
    assert list(summary) == ["candidate", "tracks"]
    log_pt, fitted = summary["candidate"]["log_pt"], prepared.manifest.candidate.features[0]
    assert log_pt["expression"] == "pt"
    assert log_pt["transform"]["log10"] is True
    assert log_pt["transform"]["clip_quantiles"] == [0.01, 0.99]
    assert (log_pt["shift"], log_pt["spread"]) == pytest.approx((fitted.shift, fitted.spread))
    assert log_pt["clip"] == pytest.approx(fitted.clip)
    assert "clip" not in summary["candidate"]["eta"]


def test_csv_holds_the_statistics_of_the_training_split_alone(prepared):
    with (prepared.folder / "constants.csv").open() as stream:
        rows = {(row["group"], row["feature"]): row for row in csv.DictReader(stream)}
    chunks = prepared.train.chunks
    pt = np.log10(np.concatenate([chunk.candidate[:, 0] for chunk in chunks]).astype(float) / 1000)
    d0 = np.concatenate([chunk.group("tracks")[0][:, 1] for chunk in chunks])
    row = rows["candidate", "log_pt"]
    assert int(row["objects"]) == prepared.train.candidates
    assert float(row["mean"]) == pytest.approx(pt.mean(), rel=1e-6)
    assert float(row["standard_deviation"]) == pytest.approx(pt.std(), rel=1e-6)
    assert float(row["min"]) == pytest.approx(pt.min(), rel=1e-6)
    assert float(row["quantile_0.99"]) == pytest.approx(np.quantile(pt, 0.99), rel=1e-6)
    assert int(rows["tracks", "d0"]["objects"]) == len(d0)


def test_the_files_belong_to_the_dataset_and_are_verified(prepared):
    prepared.verify()
    path = prepared.folder / "constants.csv"
    before = path.read_bytes()
    path.chmod(0o644)
    try:
        path.write_bytes(before[:-1] + b" ")
        with pytest.raises(CorruptError, match=r"constants\.csv"):
            prepared.verify()
    finally:
        path.write_bytes(before)


def test_clip_and_scale_name_another_dataset(ntuples, tmp_path):
    plain = prepare(dataset(ntuples), cache=tmp_path)
    changed = prepare(dataset(ntuples, candidate=FEATURES), cache=tmp_path)
    assert plain != changed
