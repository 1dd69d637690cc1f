"""What the metadata of an ATLAS file say of ElementLinks: which key means which collection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tauopt.config.settings.layout import AssociatedObjects
from tauopt.errors import nearest
from tauopt.ntuples.source import BadFileError

_VECTOR_HEADER = 6
"""Bytes before a vector's length: its size and its version."""


def container_of(branch: str) -> str:
    """Return the container that a branch or the beginning of its name belongs to.

    `InDetTrackParticlesAuxDyn.d0` and `InDetTrackParticlesAux.` are of `InDetTrackParticles`.
    """
    return re.sub(r"Aux(Dyn)?\..*$", "", branch)


def find_keys(
    linked: Mapping[str, AssociatedObjects], keys_of_file: Callable[[], Mapping[str, int]]
) -> tuple[dict[str, int], list[str]]:
    """Find the key of each step of links.

    Args:
        linked: objects that links lead to, by name.
        keys_of_file: see `link_keys`; called only if settings don't tell all keys.
    Returns:
        `<objects>.<step>` -> `m_persKey`; what is wrong.
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
                    f"layout.objects.{name}: the file does not tell which links lead to "
                    f"{container!r}{nearest(container, known)}; give their m_persKey in `keys`"
                )
            else:
                keys[f"{name}.{step}"] = key
    return keys, problems


def link_keys(file: Any, *, path: Path) -> dict[str, int]:
    """Read the keys by which ElementLinks name the containers of a file.

    Args:
        file: the root folder of a file, opened by uproot.
        path: for messages.
    Returns:
        container -> `m_persKey`; empty if the file is not ATLAS's.
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
            f"{path}: MetaData/EventFormat can't be read: {message}; with `keys` of the layout's "
            "objects it need not be"
        ) from error


def _parse_event_format(raw: bytes) -> dict[str, int]:
    """Parse an xAOD::EventFormat_v1: names, classes, parents and hashes, a vector each.

    uproot can't, since the object stands there without the header of its class.
    """
    at, columns = 0, []
    for _ in range(3):
        strings, at = _strings(raw, at)
        columns.append(strings)
    at += _VECTOR_HEADER
    count = int.from_bytes(raw[at : at + 4], "big")
    hashes = np.frombuffer(raw, dtype=">u4", count=count, offset=at + 4)
    return dict(zip(columns[0], hashes.tolist(), strict=True))


def _strings(raw: bytes, at: int) -> tuple[list[str], int]:
    """Read a vector of strings; returns where it ends too."""
    at += _VECTOR_HEADER
    count = int.from_bytes(raw[at : at + 4], "big")
    at += 4
    found = []
    for _ in range(count):
        length = raw[at]
        at += 1
        if length == 255:  # a longer string has its length in four bytes
            length = int.from_bytes(raw[at : at + 4], "big")
            at += 4
        found.append(raw[at : at + length].decode())
        at += length
    return found, at
