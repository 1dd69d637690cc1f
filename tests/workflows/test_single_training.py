from pathlib import Path

import pytest

from tauopt.config.load import read_experiment
from tauopt.workflows.single_training import text_of

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "search_spaces").glob("*.yaml")), ROOT / "tests/data/good_experiment.yaml"]


def experiments():
    for path in FILES:
        for type_, file in read_experiment(path).alternatives.items():
            yield pytest.param(file.base, id=f"{path.stem}-{type_}")


@pytest.mark.parametrize("experiment", experiments())
def test_settings_read_back_from_their_text(experiment, tmp_path):
    (tmp_path / "experiment.yaml").write_text(text_of(experiment))
    again = read_experiment(tmp_path / "experiment.yaml")
    assert again.base.model_dump() == experiment.model_dump()
    assert not again.space
