import json
from pathlib import Path

import jsonschema
import pytest

from tauopt.config.settings.json_schema import dataset_schema, experiment_schema
from tauopt.config.source.yaml_source import read_yaml

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
SHIPPED = sorted(ROOT.glob("search_spaces/**/*.yaml"))
SCHEMAS = {"experiment": experiment_schema, "dataset": dataset_schema}
CAUGHT_BY_EDITORS = (
    "unknown_key", "unknown_section", "wrong_type", "out_of_bounds", "unknown_choice", "name",
    "range_kind", "range_option", "range_elsewhere", "missing_key", "dataset_feature",
    "unknown_model", "text_as_number",
)  # fmt: skip


def errors(path, schema):
    content = json.loads(json.dumps(read_yaml(path)[0].plain()))
    return list(jsonschema.Draft7Validator(schema).iter_errors(content))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_shipped_schema_is_the_generated_one(kind):
    shipped = ROOT / "search_spaces" / "schema" / f"{kind}.schema.json"
    assert json.loads(shipped.read_text()) == SCHEMAS[kind](), (
        f"run: tauopt schema {kind} -o search_spaces/schema/{kind}.schema.json"
    )


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_valid(kind):
    jsonschema.Draft7Validator.check_schema(SCHEMAS[kind]())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_file_names_its_schema_and_follows_it(path):
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    schema = json.loads((path.parent / first.removeprefix(prefix)).read_text())
    assert errors(path, schema) == []


def test_good_files_follow_the_schemas():
    assert errors(DATA / "good_experiment.yaml", experiment_schema()) == []
    assert errors(DATA / "good_dataset.yaml", dataset_schema()) == []


@pytest.mark.parametrize("name", CAUGHT_BY_EDITORS)
def test_the_schema_catches_the_commonest_defects(name):
    path = DATA / f"bad_{name}.yaml"
    kind = "dataset" if "good_dataset" in path.read_text() else "experiment"
    assert errors(path, SCHEMAS[kind]())


def test_a_file_that_extends_nothing_must_be_complete():
    validator = jsonschema.Draft7Validator(experiment_schema())
    assert not validator.is_valid({"name": "x"})
    assert validator.is_valid({"name": "x", "extends": "y.yaml"})


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_setting_is_described(kind):
    definitions = SCHEMAS[kind]()["$defs"]
    bare = [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, value in definition.get("properties", {}).items()
        if "description" not in value and "$ref" not in value
    ]
    assert bare == []
