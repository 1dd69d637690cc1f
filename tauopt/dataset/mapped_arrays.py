"""Map an array of a `.npy` file into memory, in any thread.

NumPy's own reader takes the header for Python source. Until Python 3.11.7 that fails now and then
with a `SystemError` where several threads do so at a time (CPython issue 106905), as readers of
chunks and TensorFlow's tracing do.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_HEADER = re.compile(
    r"\{'descr': '([<|][a-z]\d+)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*"
)
_VERSION_1 = (1, 0)


def map_array(path: Path) -> npt.NDArray[Any]:
    """Return the array of a file as `numpy.save` writes it, mapped and read-only.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no such file, is cut off, or its numbers are not little-endian.
    """
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        size = int.from_bytes(stream.read(2 if version == _VERSION_1 else 4), "little")
        header = stream.read(size).decode("latin1")
        begin = stream.tell()
    found = _HEADER.fullmatch(header)
    if not found:
        raise ValueError(f"expected the header of a .npy file, got {header[:200]!r}")
    shape = tuple(int(number) for number in found[3].split(",") if number.strip())
    by_column = found[2] == "True"
    dtype = np.dtype(found[1])
    mapped = np.memmap(path, dtype, "r", begin, shape, "F" if by_column else "C")
    return np.asarray(mapped.view(np.ndarray))
