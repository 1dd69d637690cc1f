"""Write a first search space for a network on a dataset file."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from tauopt.config.first_space import first_space
from tauopt.config.load import read_dataset
from tauopt.durable import check_name, write_bytes
from tauopt.errors import UsageError

_SCHEMAS = ("schema/experiment.schema.json", "experiment.schema.json")
"""Possible places of the JSON Schema, relative to the file that names it."""


@dataclass(frozen=True)
class NewSpace:
    """A search space that was written."""

    path: Path
    network: str
    next: tuple[str, ...]
    """Command lines of the next steps."""


def init(model: str, data: Path | str, *, output: Path | str | None = None) -> NewSpace:
    """Write a commented search space of a built-in network on the user's own dataset.

    Args:
        model: the network's type.
        data: the dataset file; the files that it names are not opened.
        output: the file to write, which must not exist; None means `<model>.yaml` in the working
            folder.
    Raises:
        ConfigError: the dataset file is wrong; lists every problem with its place.
        UsageError: there is no such network, it can't be trained on this dataset, or the file
            can't be written.
    """
    dataset = read_dataset(data)
    path = Path(f"{model}.yaml" if output is None else output)
    relative = os.path.relpath(Path(data).resolve(), path.parent.resolve())
    schema = next((name for name in _SCHEMAS if (path.parent / name).is_file()), "")
    text = first_space(model, dataset, file=path.name, data=relative, schema=schema)
    _check_free(path)
    write_bytes(path, text.encode())
    file = shlex.quote(str(path))
    return NewSpace(path, model, (f"tauopt validate {file}", f"tauopt search {file}"))


def _check_free(path: Path) -> None:
    """Raise UsageError if the file exists or its folder does not."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it: -o {path / 'space.yaml'}")
    check_name(path.name, what="the file's name, by which the search is called,")
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; remove it, or name another file with -o")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it, or name another file with -o")
