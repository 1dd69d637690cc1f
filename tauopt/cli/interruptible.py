"""Work that the same command resumes after an interruption."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM in the block into an error with the command that resumes the work.

    Args:
        kept: which part of the work is not done again, as a sentence for the message.
    Raises:
        Interrupted: the block was interrupted.
    """
    from tauopt.errors import Interrupted

    resume = shlex.join(["tauopt", *sys.argv[1:]])
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped by Ctrl-C; {kept}", resume=resume) from None
    except Interrupted as error:
        raise Interrupted(f"{error}; {kept}", resume=resume, exit_code=error.exit_code) from None
