"""Keep TensorFlow from talking on stderr of its own insides while it is imported."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_CHATTER = re.compile(
    rb"(?:I\d{4} [\d:.]+ +\d+ \S+:\d+\] "
    rb"|WARNING: All log messages before absl::InitializeLog).*\n?"
)
"""Also behind a line that somebody else has begun, such as a progress bar."""


def quiet_tensorflow() -> None:
    """Let TensorFlow write warnings and errors only, also while it is imported, whoever does it.

    It tells of oneDNN and missing CUDA drivers before any of its log settings count. What the
    user has set in `TF_CPP_MIN_LOG_LEVEL` stays, and 0 shows all.
    """
    if os.environ.setdefault(_LEVEL, "3") == "0":
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what this process writes to its stderr until the end of the block.

    Then it is written, except for the lines in which C++ libraries inform of themselves.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            with open(2, "wb", closefd=False) as stream:
                stream.write(_CHATTER.sub(b"", held.read()))


class _Finder(MetaPathFinder):
    """Finds TensorFlow as the other finders do, and has it executed without its chatter."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec), None)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with without_chatter():
                    execute(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec
