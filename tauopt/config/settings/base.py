"""The base of all settings (frozen, without unknown keys) and the kinds of text in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Settings(BaseModel):
    """A frozen part of a configuration; its field docstrings become the JSON Schema."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def filled_in(key: str) -> ConfigDict:
    """Return what keeps the JSON Schema from asking for `key`, which reading a file fills in."""

    def not_required(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema["required"] if name != key]

    return ConfigDict(json_schema_extra=not_required)


def _number_as_text(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


MAX_EXPRESSION = 2000
"""Characters of an expression in a file."""


def _parsed(text: str) -> str:
    from tauopt.physics.expressions import parse

    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"expected an expression of at most {MAX_EXPRESSION} characters")
    parse(text)
    return text


def _parsed_or_empty(text: str) -> str:
    return _parsed(text) if text else text


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""What may become the name of a file, a study or a run (`tauopt.durable.NAME`)."""

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
"""A name that becomes an array, a model input or a part of a setting's path."""

ExpressionText = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=str | int | float),
    AfterValidator(_parsed),
]
"""An expression over branches, in ROOT's or numexpr's dialect; parsed when it is checked."""

OptionalExpression = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=str | int | float),
    AfterValidator(_parsed_or_empty),
]
"""An expression, or empty text for none."""
