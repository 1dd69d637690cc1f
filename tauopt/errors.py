"""The errors that tauopt raises on purpose, and the exit code of each.

::

    TauoptError                     1   something went wrong inside
    ├── UsageError                  2   the command or its arguments are wrong
    │   ├── ConfigError             2   an experiment or dataset file is wrong; holds all problems
    │   └── InvalidNameError        2   a name is not allowed for a file, a study or a run
    ├── DataError                   3   ntuples or a prepared dataset are wrong
    │   └── CorruptError            3   bytes on disk do not match their digest
    ├── ServiceError                4   MLflow, a database or Ray can't be reached
    │   └── LockedError             4   another process holds the lock
    ├── SearchError                 5   every trial failed
    ├── PromotionRefused            6   a trial may not become the champion
    ├── TrialFailed                 -   one trial failed (loss not finite, ...); the search goes on
    └── Interrupted               130   stopped by Ctrl-C (130) or SIGTERM (143)

Every message says what was expected, what was got, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class TauoptError(Exception):
    """Base of all errors that tauopt raises on purpose."""

    exit_code = 1


class UsageError(TauoptError):
    """The command or one of its arguments is wrong."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: where it is, what is wrong, and what to do.

    `line` and `column` count from 1; 0 means unknown. `setting` is the dotted path of the setting
    that it is about; empty where that is not known.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    setting: str = field(default="", compare=False)

    def __str__(self) -> str:
        where = self.file
        if self.line:
            where += f":{self.line}:{self.column}"
        return f"{where}: {self.message}" if where else self.message


class ConfigError(UsageError):
    """An experiment or dataset file is wrong; `problems` holds all mistakes."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InvalidNameError(UsageError):
    """A name is not allowed for a file, a study or a run."""


class DataError(TauoptError):
    """Ntuples or a prepared dataset are wrong."""

    exit_code = 3


class CorruptError(DataError):
    """Bytes on disk do not match their recorded digest."""


class ServiceError(TauoptError):
    """MLflow, a database or Ray can't be reached."""

    exit_code = 4


class LockedError(ServiceError):
    """Another process holds the lock; the message names that process."""


class SearchError(TauoptError):
    """Every trial failed; the message holds the first traceback."""

    exit_code = 5


class PromotionRefused(TauoptError):  # noqa: N818 - it is a verdict more than an error
    """A trial may not become the champion; the message says why."""

    exit_code = 6


class TrialFailed(TauoptError):  # noqa: N818
    """One trial failed for a reason of its own (loss not finite, ...); the search goes on."""


class Interrupted(TauoptError):  # noqa: N818
    """Stopped by a signal; `resume` is the command that continues the work."""

    exit_code = 130

    def __init__(self, message: str, *, resume: str = "", exit_code: int = 130) -> None:
        self.resume = resume
        self.exit_code = exit_code
        super().__init__(message)


_PROBLEM = "tauopt_problem"
"""Attribute of an error of the user's own code: the line of a file that led to it."""


def add_place_note(error: Exception, problem: Problem) -> None:
    """Add a note to an error of the user's code: which line of a file led to that code.

    The error itself stays as it is.
    """
    error.add_note(f"tauopt: {problem}")
    setattr(error, _PROBLEM, problem)


def is_users_own(error: Exception) -> bool:
    """Return whether the user's own code raised an error, marked so by `add_place_note`."""
    return hasattr(error, _PROBLEM)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
