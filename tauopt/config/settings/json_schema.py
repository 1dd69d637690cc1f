"""JSON Schema of experiment and dataset files, for editors that complete and check YAML.

The schema is that of the settings classes, with what files may hold beyond them: ranges in place of
single values of `model` and `training`, `extends`, and a dataset by its path. A file that extends
another may leave anything out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tauopt.config.settings import settings_schema
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.experiment import Experiment
from tauopt.config.settings.networks import AnyNetwork

Schema = dict[str, Any]

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest dialect that editors' YAML checkers support completely."""
_WHEN: Schema = {
    "type": "object",
    "minProperties": 1,
    "description": "Condition: settings and their values under which this range is searched; "
    "otherwise the setting takes its default. For instance {training.optimizer: sgd}.",
}
_EXTENDING_DATASET: Schema = {
    "allOf": [{"$ref": "#/$defs/ExtendingDataset"}],
    "required": ["extends"],
}
_SEVERAL: Schema = {
    "type": "object",
    "description": "One of several networks: `any: {rnn: {...}, deepsets: {...}}`.",
    "properties": {"any": {"$ref": "#/$defs/Architectures"}},
    "required": ["any"],
    "additionalProperties": False,
}
_RANGES = ("IntRange", "FloatRange", "ChoiceRange")
_LOG: Schema = {"type": "boolean", "description": "Search uniformly in the logarithm."}


def experiment_schema() -> Schema:
    """Return the JSON Schema of an experiment file."""
    schema = Experiment.model_json_schema()
    definitions = schema["$defs"]
    sections = [schema["properties"][key] for key in ("model", "training")]
    for name in _referenced(definitions, sections):
        for property_, value in definitions[name].get("properties", {}).items():
            if property_ != "type":
                definitions[name]["properties"][property_] = _or_range(value)
    hyperparameters = definitions["OwnModel"]["properties"]["hyperparameters"]
    value = hyperparameters["additionalProperties"]
    hyperparameters["additionalProperties"] = _any_of(value, _RANGES)
    definitions |= _range_definitions() | {"Architectures": _architectures(definitions)}
    model = schema["properties"]["model"]
    description = model.pop("description")
    schema["properties"]["model"] = {"description": description, "anyOf": [model, _SEVERAL]}
    definitions["Dataset"]["properties"]["extends"] = _extends()
    data = schema["properties"]["data"]
    path = {"type": "string", "description": "A dataset file, relative to this one."}
    schema["properties"]["data"] = {
        "description": data.pop("description"),
        "anyOf": [path, {"$ref": "#/$defs/Dataset"}, _EXTENDING_DATASET],
    }
    return _complete_or_extending(schema, "experiment")


def _architectures(definitions: Schema) -> Schema:
    """Return the definition of several networks: type -> settings without `type`."""
    return {
        "type": "object",
        "description": "Type -> the settings of that network; the search chooses among them.",
        "properties": {
            type_: {
                "description": definitions[network.__name__]["description"],
                "allOf": [{"$ref": f"#/$defs/Extending{network.__name__}"}],
                "not": {"required": ["type"]},
            }
            for type_, network in settings_schema.by_type(AnyNetwork).items()
        },
        "additionalProperties": False,
        "minProperties": 2,
    }


def dataset_schema() -> Schema:
    """Return the JSON Schema of a dataset file."""
    return _complete_or_extending(Dataset.model_json_schema(), "dataset")


def _extends() -> Schema:
    return {
        "type": "string",
        "description": "Base file, relative to this one: mappings are merged with its, everything "
        "else is replaced; null removes a sample, class, cut, feature, group or spectator.",
    }


def _referenced(definitions: Schema, schema: Any) -> list[str]:
    """Return the names of the definitions that a schema refers to, directly or indirectly."""
    names: list[str] = []

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in names:
                names.append(name)
                visit(definitions[name])
            visit([value for key, value in part.items() if key != "discriminator"])
        elif isinstance(part, list):
            for item in part:
                visit(item)

    visit(schema)
    return names


def _or_range(schema: Schema) -> Schema:
    """Allow ranges in the schema of a single value, or of a mapping's single values."""
    if "patternProperties" in schema:
        values = schema["patternProperties"]
        return {**schema, "patternProperties": {key: _or_range(values[key]) for key in values}}
    if "enum" in schema or schema.get("type") in ("string", "boolean"):
        ranges = ["ChoiceRange"]
    elif schema.get("type") == "integer":
        ranges = ["IntRange", "ChoiceRange"]
    elif schema.get("type") == "number":
        ranges = ["FloatRange", "IntRange", "ChoiceRange"]
    else:
        return schema
    annotations: Schema = {
        key: schema[key] for key in ("title", "description", "default") if key in schema
    }
    value = {key: schema[key] for key in schema if key not in annotations}
    return {**annotations, **_any_of(value, ranges)}


def _any_of(value: Schema, ranges: Sequence[str]) -> Schema:
    return {"anyOf": [value, *({"$ref": f"#/$defs/{name}"} for name in ranges)]}


def _range_definitions() -> Schema:
    choices: Schema = {
        "type": "array",
        "minItems": 1,
        "items": {"type": ["boolean", "number", "string"]},
        "description": "The values to choose from.",
    }
    return {
        "IntRange": _range("int", _ends("integer"), "A range of whole numbers.", step="integer"),
        "FloatRange": _range("float", _ends("number"), "A range of numbers.", step="number"),
        "ChoiceRange": _range("choice", choices, "A choice among listed values."),
    }


def _ends(kind: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": kind},
        "minItems": 2,
        "maxItems": 2,
        "description": "Lowest and highest value, both included.",
    }


def _range(kind: str, values: Schema, description: str, *, step: str = "") -> Schema:
    properties: Schema = {kind: values, "when": _WHEN}
    if step:
        spacing = {"type": step, "exclusiveMinimum": 0, "description": "Distance of the values."}
        properties |= {"log": _LOG, "step": spacing}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [kind],
        "additionalProperties": False,
    }


def _complete_or_extending(schema: Schema, name: str) -> Schema:
    """Return a file's schema in which everything is required, or with `extends` nothing."""
    definitions = schema.pop("$defs")
    schema["properties"] = {"extends": _extends(), **schema["properties"]}
    definitions["Complete"] = schema
    extending = {f"Extending{key}": _lenient(value) for key, value in definitions.items()}
    return {
        "$schema": _DIALECT,
        "title": f"tauopt {name} file",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/ExtendingComplete"},
        "else": {"$ref": "#/$defs/Complete"},
        "$defs": {key: _plain(value) for key, value in (definitions | extending).items()},
    }


def _lenient(schema: Any) -> Any:
    """Return a schema in which nothing is required, except the kind of a range."""
    if isinstance(schema, list):
        return [_lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema.replace("#/$defs/", "#/$defs/Extending") if _is_ref(schema) else schema
    lenient = {key: _lenient(value) for key, value in schema.items()}
    named = "patternProperties" if "patternProperties" in lenient else "properties"
    if named == "patternProperties" or ("minProperties" in lenient and named in lenient):
        # Parts with names, each of which `null` removes.
        lenient.pop("minProperties", None)
        lenient[named] = {name: _or_null(value) for name, value in lenient[named].items()}
    if schema.get("required") not in (["int"], ["float"], ["choice"]):
        lenient.pop("required", None)
    return lenient


def _or_null(schema: Schema) -> Schema:
    description = {key: schema[key] for key in ("description",) if key in schema}
    return {**description, "anyOf": [schema, {"type": "null"}]}


def _is_ref(schema: Any) -> bool:
    """Return whether a value refers to a definition that has a lenient counterpart."""
    prefix = "#/$defs/"
    return isinstance(schema, str) and schema.startswith(prefix) and "Extending" not in schema


def _plain(schema: Any) -> Any:
    """Return a schema without OpenAPI's `discriminator`, which JSON Schema does not know.

    `oneOf` becomes `anyOf`, since values may match several settings classes at once.
    """
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if key != "discriminator"}
    if "oneOf" in plain:
        plain["anyOf"] = plain.pop("oneOf")
    return plain
