"""Suppress TensorFlow's informational messages on stderr, also those of its import."""

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
"""Informational log lines of C++. Not anchored: they may follow an unfinished line of other output,
such as a progress bar."""


def quiet_tensorflow() -> None:
    """Let TensorFlow print only warnings and errors from now on, whichever module imports it.

    A level that the user has set in `TF_CPP_MIN_LOG_LEVEL` stays; 0 shows all messages.
    """
    if os.environ.setdefault(_LEVEL, "3") == "0":
        return
    # The level is not enough: TensorFlow reports oneDNN and missing CUDA drivers before it reads
    # its log settings. So the import itself runs with stderr filtered.
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Buffer the stderr of this process, and write it without C++ log chatter after the block."""
    sys.stderr.flush()
    # File descriptor 2, not `sys.stderr`: C++ libraries write to it directly.
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            buffer.seek(0)
            with open(2, "wb", closefd=False) as stream:
                stream.write(_CHATTER.sub(b"", buffer.read()))


class _Finder(MetaPathFinder):
    """Finds TensorFlow with the other finders, and lets it be executed without its chatter."""

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

            def execute_quietly(module: ModuleType) -> None:
                with without_chatter():
                    execute(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec
