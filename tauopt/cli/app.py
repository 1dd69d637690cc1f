"""The `tauopt` command: register the verbs, run one, turn errors into exit codes.

Exit codes: 0 done, 1 internal, 2 usage or configuration, 3 data, 4 service unreachable or
locked, 5 every trial failed, 6 promotion refused, 130 and 143 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import keyword
import logging
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tauopt.cli.console import prepare_streams
from tauopt.errors import Interrupted, ServiceError, TauoptError, UsageError, is_users_own
from tauopt.quiet import quiet_tensorflow

VERBS = (
    "search", "submit", "status", "stop", "resume", "extend", "leaderboard", "report",
    "confirm", "replay",
    "evaluate", "compare", "promote", "score", "export", "ui", "reproduce", "sync", "gc",
    "backup", "restore", "train", "continue", "simulate", "inspect", "prepare",
    "validate-data", "models", "init", "validate", "schema", "doctor",
)  # fmt: skip
"""Modules of `tauopt.cli`, one for each verb, in the order of `tauopt --help`."""

_STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def build_app() -> typer.Typer:
    """Return the command-line application with every verb registered."""
    app = typer.Typer(
        name="tauopt",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for verb in VERBS:
        importlib.import_module(f"tauopt.cli.{_module(verb)}").register(app)
    return app


def _module(verb: str) -> str:
    """Return the module of a verb; one that is a word of Python ends with an underscore."""
    return f"{verb.replace('-', '_')}{'_' * keyword.iskeyword(verb)}"


def _version(wanted: bool) -> None:
    if wanted:
        from tauopt import __version__

        typer.echo(f"tauopt {__version__}")
        raise typer.Exit


def _common(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print informational log messages to stderr.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Hyperparameter search for tau-lepton classifiers, on record from ntuple to champion."""
    del version
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted("stopped by SIGTERM", exit_code=128 + number)


def _exit_after_bug() -> NoReturn:
    traceback.print_exc()
    print("tauopt: internal error; the traceback above says where", file=sys.stderr)  # noqa: T201
    sys.exit(TauoptError.exit_code)


def main() -> NoReturn:
    """Run the command line, and exit with the code of the outcome (see the module's docstring)."""
    prepare_streams()
    signal.signal(signal.SIGTERM, _terminate)
    quiet_tensorflow()
    try:
        build_app()()
    except TauoptError as error:
        print(f"tauopt: {error}", file=sys.stderr)  # noqa: T201
        if isinstance(error, Interrupted) and error.resume:
            print(f"go on with: {error.resume}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("tauopt: stopped by Ctrl-C", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has ended (`tauopt … | head`). Python would fail again when it
        # flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            _exit_after_bug()
        print(f"tauopt: {error.strerror}: {error.filename or 'while writing'}", file=sys.stderr)  # noqa: T201
        sys.exit(ServiceError.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever is left is a bug, the user's or ours
        if not is_users_own(error):
            _exit_after_bug()
        traceback.print_exc()  # ends with the note which line of the experiment file names the code
        sys.exit(UsageError.exit_code)
    sys.exit(0)
