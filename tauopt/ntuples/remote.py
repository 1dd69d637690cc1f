"""Copy remote files into the cache, where they are read like local ones.

A preparation reads every byte of its input twice, once for the digest. A copy crosses the network
once, and the next preparation uses it again.
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
"""Mean pause before the first retry; each further pause is twice as long."""
_VERSION = ("size", "mtime", "ETag", "Content-MD5", "Digest", "Last-Modified")
"""Metadata that servers may give, and that change with a file's content."""

_T = TypeVar("_T")


def is_remote(address: str) -> bool:
    """Return whether a file's name is a URL."""
    return "://" in address


def fetch(address: str, *, cache: Path) -> Path:
    """Return the path of a remote file's copy in the cache; copy the file if there is none.

    The file is copied again if its size, time or tag on the server has changed.

    Args:
        address: `root://`, `https://` or `http://` URL of one file.
        cache: folder of copies.
    Raises:
        DataError: the file does not exist, or the URL has another scheme.
        ServiceError: the server did not answer in four tries.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in SCHEMES:
        raise DataError(f"{address}: expected an address that begins with {', '.join(SCHEMES)}")
    if "*" in rest.partition("?")[0] or "%d" in rest:
        raise DataError(f"{address}: servers don't expand patterns; name each file")
    files, path = _file_system(address)
    info = _with_retries(address, lambda: files.info(path))
    version = [str(info.get(key)) for key in _VERSION]
    name = Path(rest.partition("?")[0]).name or "file"
    copy = cache / durable.sha256_json([address, version])[:40] / name
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        size = info.get("size")
        durable.write_with(copy, lambda to: _copy(files, path, to, address=address, size=size))
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


def _copy(files: Any, path: str, to: Path, *, address: str, size: int | None) -> None:
    def copy() -> None:
        files.get_file(path, str(to))
        if size is not None and to.stat().st_size != size:
            raise OSError(f"received {to.stat().st_size} bytes, expected {size}")

    _with_retries(address, copy)


def _with_retries(address: str, call: Callable[[], _T]) -> _T:
    """Call a function, and again after a pause if the network fails."""
    rng = np.random.default_rng()  # unseeded, so that processes pause for different times
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except Exception as error:
            if _is_absent(error):
                raise DataError(f"{address}: no such file on the server") from error
            if attempt == RETRIES:
                reason = " ".join(str(error.__cause__ or error).split())[:300]
                raise ServiceError(
                    f"{address}: not read in {RETRIES + 1} tries: {reason or type(error).__name__};"
                    " check that the server is up and that you may read this file"
                ) from error
            time.sleep(_PAUSE_S * 2**attempt * rng.uniform(0.5, 1.5))
    raise AssertionError("unreachable")


def _is_absent(error: Exception) -> bool:
    """Return whether the server answered that there is no such file."""
    # fsspec's HTTP raises FileNotFoundError for every failure; the cause has the server's status
    if not isinstance(error, FileNotFoundError):
        return False
    cause = error.__cause__
    if cause is None or isinstance(cause, FileNotFoundError):
        return True
    return getattr(cause, "status", 0) in (404, 410)
