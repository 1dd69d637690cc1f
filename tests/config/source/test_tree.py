"""`null` removes named parts of an extended file, and only those."""

from pathlib import Path

import pytest

from tauopt.config.load import read_dataset, read_experiment
from tauopt.errors import ConfigError

DATA = Path(__file__).parents[2] / "data"


def write(folder, text, name="extending.yaml"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("good_dataset.yaml", "good_experiment.yaml"):
        (tmp_path / name).write_text((DATA / name).read_text())
    return tmp_path


def test_null_removes_a_named_part_and_leaves_the_rest(folder):
    write(folder, """
extends: good_dataset.yaml
cuts: {prongs: n == 1 || n == 3, hard: pt > 20}
candidate: {eta: {}}
groups: {tracks: {features: {d0: {}}}}
""", "middle.yaml")  # fmt: skip
    path = write(folder, """
extends: middle.yaml
samples: {tau: null}
classes: {3p0n: null}
cuts: {prongs: n == 1, hard: null, central: abs(eta) < 1}
candidate: {pt: null}
groups: {clusters: null, tracks: {features: {track_pt: null}}}
""")  # fmt: skip
    data = read_dataset(path, overrides=["samples.jet.classes=[jet, 1p0n]"])
    assert list(data.samples) == ["jet"]
    assert "3p0n" not in data.classes
    assert data.cuts == {"prongs": "n == 1", "central": "abs(eta) < 1"}
    assert list(data.candidate) == ["eta"]
    assert list(data.groups) == ["tracks"]
    assert list(data.groups["tracks"].features) == ["d0"]


def test_null_in_an_inline_dataset_removes_too(folder):
    path = write(folder, """
extends: good_experiment.yaml
data: {extends: good_dataset.yaml, groups: {tracks: {features: {d0: {}, track_pt: null}}}}
""")  # fmt: skip
    features = read_experiment(path).base.data.groups["tracks"].features
    assert list(features) == ["d0"]
    path = write(folder, """
extends: extending.yaml
data: {candidate: {eta: {}, pt: null}}
""", "more.yaml")  # fmt: skip
    assert list(read_experiment(path).base.data.candidate) == ["eta"]


@pytest.mark.parametrize("part", ["chunk_size", "name", "split"])
def test_null_does_not_remove_a_single_setting(folder, part):
    path = write(folder, f"extends: good_dataset.yaml\n{part}: null\n")
    with pytest.raises(ConfigError, match=part):
        read_dataset(path)


def test_removing_the_last_feature_of_a_required_part_is_refused(folder):
    path = write(folder, "extends: good_dataset.yaml\ncandidate: {pt: null}\n")
    with pytest.raises(ConfigError, match="candidate"):
        read_dataset(path)
