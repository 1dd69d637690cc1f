"""The public names, frozen: who changes one on purpose changes `data/public_names.txt` with it.

The commands with their options, and the functions of the workflows with their parameters, are what
scripts of others call.
"""

import ast
import importlib
import inspect
from pathlib import Path

import typer

from tauopt import cli
from tauopt.cli.app import VERBS, build_app

WORKFLOWS = "tauopt.workflows."
FROZEN = Path(__file__).parent / "data" / "public_names.txt"


def commands():
    group = typer.main.get_command(build_app())
    for verb in sorted(VERBS):
        words = [
            "/".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name
            for parameter in group.commands[verb].params
            if parameter.name != "help"
        ]
        yield " ".join([f"tauopt {verb}", *sorted(words)])


def functions():
    """What commands call: the functions that do a verb's work."""
    called = set()
    for path in Path(cli.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(WORKFLOWS):
                called |= {(node.module, alias.name) for alias in node.names}
    for module, name in sorted(called):
        value = getattr(importlib.import_module(module), name)
        if inspect.isfunction(value):
            short = module.removeprefix("tauopt.")
            yield f"{short}.{name}({', '.join(inspect.signature(value).parameters)})"


def test_commands_and_functions_are_those_that_others_call():
    assert [*commands(), *functions()] == FROZEN.read_text().splitlines()
