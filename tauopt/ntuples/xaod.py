"""Read the keys of xAOD ElementLinks from the metadata of an ATLAS file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.config.settings.layout import AssociatedObjects
from tauopt.errors import nearest
from tauopt.ntuples.bad_files import BadFileError

_VECTOR_HEADER = 6
"""Bytes before a vector's length: its size and its version."""


def container_of(branch: str) -> str:
    """Return the xAOD container of a branch or of a branch prefix.

    That of `InDetTrackParticlesAuxDyn.d0` and `InDetTrackParticlesAux.` is `InDetTrackParticles`.
    """
    return re.sub(r"Aux(Dyn)?\..*$", "", branch)


def find_keys(
    linked: Mapping[str, AssociatedObjects], keys_of_file: Callable[[], Mapping[str, int]]
) -> tuple[dict[str, int], list[str]]:
    """Find the key of each step of links.

    Args:
        linked: objects associated by links, by name.
        keys_of_file: see `link_keys`; called only if the layout does not give all keys.
    Returns:
        `<objects>.<step>` -> `m_persKey`; a message for each key that is unknown.
    """
    keys: dict[str, int] = {}
    problems = []
    known = keys_of_file() if any(not objects.keys for objects in linked.values()) else {}
    for name, objects in linked.items():
        for step, target in enumerate([*objects.links[1:], objects.collection]):
            container = container_of(target)
            key = objects.keys[step] if objects.keys else known.get(container)
            if key is None:
                problems.append(
                    f"layout.objects.{name}: the file's metadata name no m_persKey of container "
                    f"{container!r}{nearest(container, known)}; give it in `keys`"
                )
            else:
                keys[f"{name}.{step}"] = key
    return keys, problems


def link_keys(file: Any, *, path: Path) -> dict[str, int]:
    """Read the keys by which ElementLinks identify the containers of a file.

    Args:
        file: top directory of a file, opened by uproot.
        path: of the file, for messages.
    Returns:
        container -> `m_persKey`; empty if it is no ATLAS file.
    Raises:
        BadFileError: the metadata are damaged.
    """
    if "MetaData" not in file.keys(cycle=False) or "EventFormat" not in file["MetaData"]:
        return {}
    try:
        raw = file["MetaData"]["EventFormat"].basket(0).data.tobytes()
        return _parse_event_format(raw)
    except Exception as error:  # damaged bytes fail in many ways
        message = " ".join(str(error).split())[:200]
        raise BadFileError(
            f"{path}: MetaData/EventFormat can't be read: {message}; give the `keys` of all linked "
            "objects in `layout` to do without it"
        ) from error


def _parse_event_format(raw: bytes) -> dict[str, int]:
    """Parse an xAOD::EventFormat_v1: vectors of names, classes, parents and hashes.

    uproot can't, since the object is stored without the header of its class.
    """
    position, columns = 0, []
    for _ in range(3):
        strings, position = _strings(raw, position)
        columns.append(strings)
    position += _VECTOR_HEADER
    count = int.from_bytes(raw[position : position + 4], "big")
    hashes = np.frombuffer(raw, dtype=">u4", count=count, offset=position + 4)
    return dict(zip(columns[0], hashes.tolist(), strict=True))


def _strings(raw: bytes, position: int) -> tuple[list[str], int]:
    """Read a vector of strings; also return the position of its end."""
    position += _VECTOR_HEADER
    count = int.from_bytes(raw[position : position + 4], "big")
    position += 4
    strings = []
    for _ in range(count):
        length = raw[position]
        position += 1
        if length == 255:  # a longer string has its length in four bytes
            length = int.from_bytes(raw[position : position + 4], "big")
            position += 4
        strings.append(raw[position : position + length].decode())
        position += length
    return strings, position
