"""Base class of all settings (frozen, unknown keys forbidden) and their types of text."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Settings(BaseModel):
    """A frozen part of a configuration; its field docstrings become the JSON Schema's texts."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def not_required_in_schema(key: str) -> ConfigDict:
    """Return a model configuration whose JSON Schema does not require `key`.

    The field itself has no default: `tauopt.config.load` fills it in before validation.
    """

    def not_required(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema["required"] if name != key]

    return ConfigDict(json_schema_extra=not_required)


def _number_as_text(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


MAX_EXPRESSION = 2000
"""Most characters of an expression in a file."""


def _parsed(text: str) -> str:
    # Imported late: `tauopt --help` imports the settings and must not load formulate.
    from tauopt.physics.expressions import parse

    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"expected an expression of at most {MAX_EXPRESSION} characters")
    parse(text)
    return text


def _parsed_or_empty(text: str) -> str:
    return _parsed(text) if text else text


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Text that is valid as the name of a file, a study and a run, as in `tauopt.durable.NAME`."""

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
"""Name of an array or a model input, or one key of a setting's dotted path."""

ExpressionText = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=str | int | float),
    AfterValidator(_parsed),
]
"""Expression over branches, in ROOT's or numexpr's dialect; validation parses it."""

OptionalExpression = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=str | int | float),
    AfterValidator(_parsed_or_empty),
]
"""Expression as `ExpressionText`, or empty text for none."""
