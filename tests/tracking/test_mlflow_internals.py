"""What an upgrade of MLflow must leave as it is, or `_mlflow_internals` must follow."""

import json

import numpy as np
import sqlalchemy
from mlflow.models import Model

from tauopt.tracking._mlflow_internals import (
    is_known_revision,
    latest_revision,
    save_example,
    schema_revision,
)


def test_a_store_that_mlflow_made_has_the_latest_revision(client, output):
    engine = sqlalchemy.create_engine(f"sqlite:///{output}/mlflow.db")
    assert schema_revision(engine) == latest_revision()
    assert is_known_revision(latest_revision())
    engine.dispose()


def test_an_empty_database_has_no_revision_and_strange_ones_are_unknown():
    engine = sqlalchemy.create_engine("sqlite://")
    assert schema_revision(engine) is None
    assert not is_known_revision("0123456789ab")


def test_an_example_lies_in_the_folder_and_in_the_metadata(tmp_path):
    model = Model()
    save_example(model, {"candidate": np.ones((2, 3), np.float32)}, tmp_path)
    name = model.saved_input_example_info["artifact_path"]
    stored = json.loads((tmp_path / name).read_text())
    assert np.shape(stored["candidate"]) == (2, 3)
