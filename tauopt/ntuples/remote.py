"""Remote files -> copies in the cache, so that all that holds for local files holds for them.

A preparation reads every byte of its input twice, once for the digest; a copy is read over the
network once, and the next preparation finds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tauopt import durable
from tauopt.errors import DataError, ServiceError

SCHEMES = ("root", "https", "http")
RETRIES = 3
_PAUSE_S = 1.0
"""Mean pause before the first retry; each further one is twice as long."""
_VERSION = ("size", "mtime", "ETag", "Content-MD5", "Digest", "Last-Modified")
"""What a server may say of a file that changes with its content."""

_T = TypeVar("_T")


def is_remote(address: str) -> bool:
    """Say whether a file's name is an address."""
    return "://" in address


def fetch(address: str, *, cache: Path) -> Path:
    """Copy a remote file into the cache, or find the copy there.

    A copy is taken again when the server tells of another size, time or tag.

    Args:
        address: `root://`, `https://` or `http://`, of one file.
        cache: folder of copies.
    Raises:
        DataError: no such file, or an address of another kind.
        ServiceError: the server did not answer in four tries.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in SCHEMES:
        raise DataError(f"{address}: expected an address that begins with {', '.join(SCHEMES)}")
    if "*" in rest.partition("?")[0] or "%d" in rest:
        raise DataError(f"{address}: servers don't expand patterns; name each file")
    files, path = _file_system(address)
    told = _patiently(address, lambda: files.info(path))
    version = [str(told.get(key)) for key in _VERSION]
    name = Path(rest.partition("?")[0]).name or "file"
    copy = cache / durable.sha256_json([address, version])[:40] / name
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        durable.write_with(copy, lambda to: _copy(files, path, to, address=address, told=told))
    return copy


def _file_system(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise DataError(
            f"{address}: a library for such addresses is missing: pip install 'tauopt[xrootd]'"
        ) from error
    return files, path


def _copy(files: Any, path: str, to: Path, *, address: str, told: dict[str, Any]) -> None:
    def copy() -> None:
        files.get_file(path, str(to))
        size = told.get("size")
        if size is not None and to.stat().st_size != size:
            raise OSError(f"{to.stat().st_size} bytes came, expected {size}")

    _patiently(address, copy)


def _patiently(address: str, call: Callable[[], _T]) -> _T:
    """Call, and again after a pause when the network fails; pauses differ between processes."""
    rng = np.random.default_rng()
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except Exception as error:
            if _is_absent(error):
                raise DataError(f"{address}: no such file on the server") from error
            if attempt == RETRIES:
                told = " ".join(str(error.__cause__ or error).split())[:300] or type(error).__name__
                raise ServiceError(
                    f"{address}: not read in {RETRIES + 1} tries: {told}; is the server up, and "
                    "may you read this file?"
                ) from error
            time.sleep(_PAUSE_S * 2**attempt * rng.uniform(0.5, 1.5))
    raise AssertionError("unreachable")


def _is_absent(error: Exception) -> bool:
    """Say whether the server answered that there is no such file: fsspec's HTTP says so always."""
    if not isinstance(error, FileNotFoundError):
        return False
    cause = error.__cause__
    if cause is None or isinstance(cause, FileNotFoundError):
        return True
    return getattr(cause, "status", 0) in (404, 410)
