"""docker-compose.yml as data: read, and its services' commands and environments made local."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<other>[^}]*))?\}")


def compose() -> dict[str, Any]:
    """Return docker-compose.yml with its anchors merged, variables as they stand."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a value as compose interpolates it; a required variable that is missing raises."""
    if isinstance(value, Mapping):
        return {key: interpolated(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name, kind, other = match["name"], match["kind"], match["other"] or ""
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise KeyError(f"{name}: {other}")
        return other

    return _VARIABLE.sub(replaced, value).replace("$$", "$")


def argv(service: Mapping[str, Any]) -> list[str]:
    """Return the command line that a service's container runs, with paths of this checkout."""
    entry = service.get("entrypoint", ["/app/docker/entrypoint.sh"])
    return [str(word).replace("/app/docker", str(ROOT / "docker")) for word in entry] + [
        str(word).replace("/app/docker", str(ROOT / "docker")) for word in service["command"]
    ]
