"""JSON Schema of experiment and dataset files, for editors that complete and check YAML.

What the settings classes say, and what files may say beyond them: ranges at single values of
`model` and `training`, `extends`, and a dataset by its path. A file that extends another may
leave anything out.
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
"""The newest that editors' YAML checkers understand whole."""
_WHEN: Schema = {
    "type": "object",
    "minProperties": 1,
    "description": "Settings and the values of theirs under which this range is searched; else "
    "the setting takes its default. For instance {training.optimizer: sgd}.",
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
_LOG: Schema = {"type": "boolean", "description": "Search the logarithm evenly."}


def experiment_schema() -> Schema:
    """Return the JSON Schema of an experiment file."""
    schema = Experiment.model_json_schema()
    definitions = schema["$defs"]
    for name in _below(definitions, [schema["properties"][key] for key in ("model", "training")]):
        for property_, value in definitions[name].get("properties", {}).items():
            if property_ != "type":
                definitions[name]["properties"][property_] = _or_range(value)
    knobs = definitions["OwnModel"]["properties"]["hyperparameters"]
    knobs["additionalProperties"] = _or_one_of(knobs["additionalProperties"], _RANGES)
    definitions |= _range_definitions() | {"Architectures": _architectures(definitions)}
    model = schema["properties"]["model"]
    described = {"description": model.pop("description")}
    schema["properties"]["model"] = {**described, "anyOf": [model, _SEVERAL]}
    definitions["Dataset"]["properties"]["extends"] = _extends()
    data = schema["properties"]["data"]
    path = {"type": "string", "description": "A dataset file, relative to this one."}
    schema["properties"]["data"] = {
        "description": data.pop("description"),
        "anyOf": [path, {"$ref": "#/$defs/Dataset"}, _EXTENDING_DATASET],
    }
    return _complete_or_extending(schema, "experiment")


def _architectures(definitions: Schema) -> Schema:
    """Return the definition of several networks, each under its type and without it."""
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
        "description": "A file, relative to this one, that this one is laid on: mappings are "
        "merged, everything else is replaced; null takes a sample, class, cut, feature, group or "
        "spectator out.",
    }


def _below(definitions: Schema, schema: Any) -> list[str]:
    """Return the names of the definitions that a schema refers to, directly or not."""
    found: list[str] = []

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in found:
                found.append(name)
                visit(definitions[name])
            visit([value for key, value in part.items() if key != "discriminator"])
        elif isinstance(part, list):
            for item in part:
                visit(item)

    visit(schema)
    return found


def _or_range(schema: Schema) -> Schema:
    """Return the schema of a single value, or of some by name, that may also be ranges."""
    if "patternProperties" in schema:
        named = schema["patternProperties"]
        return {**schema, "patternProperties": {key: _or_range(named[key]) for key in named}}
    if "enum" in schema or schema.get("type") in ("string", "boolean"):
        ranges = ["ChoiceRange"]
    elif schema.get("type") == "integer":
        ranges = ["IntRange", "ChoiceRange"]
    elif schema.get("type") == "number":
        ranges = ["FloatRange", "IntRange", "ChoiceRange"]
    else:
        return schema
    outside: Schema = {
        key: schema[key] for key in ("title", "description", "default") if key in schema
    }
    value = {key: schema[key] for key in schema if key not in outside}
    return {**outside, **_or_one_of(value, ranges)}


def _or_one_of(value: Schema, ranges: Sequence[str]) -> Schema:
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
        "ChoiceRange": _range("choice", choices, "One of some values."),
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
        of_step = {"type": step, "exclusiveMinimum": 0, "description": "Distance of the values."}
        properties |= {"log": _LOG, "step": of_step}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [kind],
        "additionalProperties": False,
    }


def _complete_or_extending(schema: Schema, name: str) -> Schema:
    """Return a schema that asks for everything, or with `extends` for nothing."""
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
    """Return a schema of which nothing is required, except the kind of a range."""
    if isinstance(schema, list):
        return [_lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema.replace("#/$defs/", "#/$defs/Extending") if _is_ref(schema) else schema
    left = {key: _lenient(value) for key, value in schema.items()}
    named = "patternProperties" if "patternProperties" in left else "properties"
    if named == "patternProperties" or ("minProperties" in left and named in left):
        left.pop("minProperties", None)  # named parts, which null takes out
        left[named] = {name: _or_null(value) for name, value in left[named].items()}
    if schema.get("required") not in (["int"], ["float"], ["choice"]):
        left.pop("required", None)
    return left


def _or_null(schema: Schema) -> Schema:
    described = {key: schema[key] for key in ("description",) if key in schema}
    return {**described, "anyOf": [schema, {"type": "null"}]}


def _is_ref(schema: Any) -> bool:
    """Say whether this refers to a definition that has a lenient counterpart."""
    prefix = "#/$defs/"
    return isinstance(schema, str) and schema.startswith(prefix) and "Extending" not in schema


def _plain(schema: Any) -> Any:
    """Return a schema without OpenAPI's `discriminator`; choices between settings may overlap."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    left = {key: _plain(value) for key, value in schema.items() if key != "discriminator"}
    if "oneOf" in left:
        left["anyOf"] = left.pop("oneOf")
    return left
