"""What the settings of all networks share."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tauopt.config.settings import Settings

Activation = Literal["relu", "tanh", "swish", "gelu", "elu"]


class NetworkSettings(Settings):
    """A part that a file names in part keeps this network's defaults in what it doesn't name."""

    known_groups: ClassVar[dict[str, dict[str, Any]]] = {}
    """The literature's values for groups of these names."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        completed = {name: cls._completed(name, value) for name, value in values.items()}
        if isinstance(groups := completed.get("groups"), dict):
            completed["groups"] = {
                name: _laid_on(cls.known_groups.get(name, {}), group)
                for name, group in groups.items()
            }
        return completed

    @classmethod
    def _completed(cls, name: str, value: Any) -> Any:
        field = cls.model_fields.get(name)
        default = field.default if field else None
        return _laid_on(default.model_dump(), value) if isinstance(default, Settings) else value


def _laid_on(default: dict[str, Any], value: Any) -> Any:
    return {**default, **value} if isinstance(value, dict) else value


class ObjectGroup(Settings):
    """How a network sees one group of objects."""

    length: int = Field(default=10, ge=1, le=100)
    """Objects kept a candidate; the first ones."""
