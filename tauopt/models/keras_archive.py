"""The `.keras` archive of a model, looked into before Keras sees it.

What Keras writes is known exactly: three members, stored as they are. So whatever a hostile file
needs (compression that explodes, links, names with `..`, members twice) is refused for being other
than that, and nothing has to be recognised as an attack.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tauopt.errors import CorruptError
from tauopt.models.weights_file import check_weights

WEIGHTS = "model.weights.h5"
MEMBERS = ("metadata.json", "config.json", WEIGHTS)
MAX_TEXT_BYTES = 16_000_000
"""Of the two JSON members; our largest networks have some 100 kB."""
MAX_BYTES = 4_000_000_000
"""Of the whole file."""
_ENCRYPTED = 0x1
_LINK = 0o120000
_KIND = 0o170000


def read_config(data: bytes, *, told: str) -> Any:
    """Check an archive and return the model's configuration as JSON values.

    Args:
        data: the whole file.
        told: what messages call it.
    Raises:
        CorruptError: it is other than what Keras writes, damaged, or its weights are (see
            `check_weights`).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist(), told)
            json.loads(archive.read("metadata.json"))
            config = json.loads(archive.read("config.json"))
            weights = archive.read(WEIGHTS)
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError, NotImplementedError,
            RuntimeError, EOFError) as error:  # fmt: skip
        raise CorruptError(f"{told} is no Keras archive: {error}") from error
    check_weights(weights, told=f"{told}: {WEIGHTS}")
    return config


def _check_members(members: list[zipfile.ZipInfo], told: str) -> None:
    names = [member.filename for member in members]
    if sorted(names) != sorted(MEMBERS):
        raise CorruptError(f"{told}: expected members {MEMBERS}, got {names[:10]}")
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise CorruptError(f"{told}: {member.filename} is encrypted")
        if (member.external_attr >> 16) & _KIND == _LINK:
            raise CorruptError(f"{told}: {member.filename} is a link")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise CorruptError(
                f"{told}: {member.filename} is compressed, to {member.compress_size:,} of "
                f"{member.file_size:,} bytes; Keras writes none so"
            )
        if member.filename != WEIGHTS and member.file_size > MAX_TEXT_BYTES:
            raise CorruptError(f"{told}: {member.filename} has {member.file_size:,} bytes")
