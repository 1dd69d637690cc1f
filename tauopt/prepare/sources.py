"""The input files of a dataset, and the digest that names the prepared result."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tauopt import durable
from tauopt.config.dataset import Dataset
from tauopt.config.inputs import Feature
from tauopt.dataset.manifest import VERSION
from tauopt.errors import DataError
from tauopt.ntuples import digests
from tauopt.ntuples.files import Signature, expand
from tauopt.ntuples.formats import open_source
from tauopt.ntuples.source import BadFileError, Source, TableInfo
from tauopt.physics.expressions import Expression
from tauopt.prepare.plan import Plan, read
from tauopt.progress import Progress

logger = logging.getLogger(__name__)

ALGORITHM = 1
"""Raised whenever the same settings and files would give other chunks."""


@dataclass(frozen=True)
class InputFile:
    """One file of one sample."""

    sample: str
    source: Source
    weight: Expression
    classes: tuple[str, ...]
    branches: tuple[str, ...]
    sha256: str = ""
    signature: Signature | None = None
    entries: int = 0
    problem: str = ""
    """Why it can't be read; empty if it can."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path


def find_files(dataset: Dataset, plan: Plan) -> list[InputFile]:
    """Expand the globs of all samples.

    Raises:
        DataError: a glob matches nothing, a weight is no expression, or what is no ROOT file is to
            have friends.
    """
    files = []
    for name, sample in dataset.samples.items():
        weight = read(sample.weight, f"samples.{name}.weight")
        branches = plan.branches(weight)
        files += [
            InputFile(
                name,
                open_source(path, tree=sample.tree, friends=sample.friends, layout=dataset.layout),
                weight,
                sample.classes,
                branches,
            )
            for path in expand(sample.files)
        ]
    return files


def with_remembered_digests(files: Sequence[InputFile], *, cache: Path) -> list[InputFile] | None:
    """Return the files with their digests if all are remembered, else None."""
    known = []
    for file in files:
        try:
            found = digests.recall(file.path, cache=cache)
        except OSError:
            return None
        if found is None:
            return None
        known.append(replace(file, sha256=found[0], signature=found[1]))
    return known


def with_digests(files: Sequence[InputFile], *, cache: Path, progress: Progress) -> list[InputFile]:
    """Read all files for their digests; those that can't be read carry a problem.

    Raises:
        DataError: a file changes meanwhile, or a sample has the same content twice.
    """
    progress.begin("digests of input files", len(files), "files")
    result = []
    for file in files:
        try:
            sha256, signature = digests.digest(file.path, cache=cache)
            result.append(replace(file, sha256=sha256, signature=signature))
        except OSError as error:
            problem = f"{file.path}: can't be read whole: {error.strerror}"
            result.append(replace(file, problem=file.problem or problem))
        progress.advance()
    _check_twice(result)
    return result


def _check_twice(files: Iterable[InputFile]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        other = seen.setdefault((file.sample, file.sha256), file.path)
        if other != file.path and file.sha256:
            raise DataError(
                f"sample {file.sample!r}: {other} and {file.path} have the same content; "
                "its candidates would count twice"
            )


def with_entries(files: Sequence[InputFile]) -> list[InputFile]:
    """Look at the header of every file; those that can't be read carry a problem.

    Raises:
        DataError: branches are missing or not numbers, or differ in kind between files (tells of
            all files at once); all files of a sample are empty.
    """
    result, problems = [], []
    kinds: dict[tuple[str, str], tuple[bool, Path]] = {}
    for file in files:
        if file.problem:
            result.append(file)
            continue
        try:
            info = file.source.inspect(file.branches)
            problems += _other_kinds(file, info, kinds)
            result.append(replace(file, entries=info.entries))
        except BadFileError as error:
            result.append(replace(file, problem=str(error)))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(_told_once(problems)))
    _check_empty(result)
    return result


def _told_once(problems: Sequence[str]) -> list[str]:
    """Tell what is wrong in many files once, with the first of them."""
    files: dict[str, list[str]] = {}
    for problem in problems:
        path, _, what = problem.partition(": ")
        files.setdefault(what, []).append(path)
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more files' if len(paths) > 1 else ''}: {what}"
        for what, paths in files.items()
    ]


def _other_kinds(
    file: InputFile, info: TableInfo, kinds: dict[tuple[str, str], tuple[bool, Path]]
) -> list[str]:
    words = {True: "a list of numbers", False: "one number"}
    problems = []
    for name, jagged in info.jagged.items():
        other, path = kinds.setdefault((file.sample, name), (jagged, file.path))
        if other != jagged:
            problems.append(
                f"{file.path}: branch {name!r} holds {words[jagged]} a candidate, "
                f"but {words[other]} in {path}"
            )
    return problems


def _check_empty(files: Sequence[InputFile]) -> None:
    readable = [file for file in files if not file.problem]
    for file in readable:
        if not file.entries:
            logger.warning("%s: holds no candidates; skipped", file.path)
    totals: Counter[str] = Counter()
    for file in readable:
        totals[file.sample] += file.entries
    for sample, total in totals.items():
        if not total:
            raise DataError(f"sample {sample!r}: all its files are empty")


def check_bad_files(files: Sequence[InputFile], *, tolerated: int) -> None:
    """Stop if more files than tolerated can't be read.

    Raises:
        BadFileError: names each of them and what is wrong.
    """
    problems = [file.problem for file in files if file.problem]
    if len(problems) > tolerated:
        raise BadFileError(
            "\n".join(problems)
            + f"\n{len(problems)} of {len(files)} files can't be read, {tolerated} are tolerated "
            "(`bad_files` of the dataset file)"
        )
    for problem in problems:
        logger.warning("left out: %s", problem)


def identity(dataset: Dataset, files: Sequence[InputFile]) -> str:
    """Return the SHA-256 of all that decides what a prepared dataset holds.

    That is the versions of format and algorithm, the settings, and the content of the files;
    not how many bad ones are tolerated, nor the files' names unless they are streamed directly.
    The order of features and classes counts; the order of samples and files does not.
    """
    samples = sorted(
        [
            name,
            sample.tree,
            list(sample.friends),
            sample.weight,
            sorted(sample.classes),
            sorted(file.sha256 for file in files if file.sample == name),
        ]
        for name, sample in dataset.samples.items()
    )
    plain = {"name", "selection", "event_number", "split", "missing", "stream"}
    plain |= {"cuts", "chunk_size", "proportions", "negative_weights"}
    settings = dataset.model_dump(mode="json", include=plain)
    layout = dataset.layout.model_dump(mode="json")
    return durable.sha256_json(
        {
            "version": VERSION,
            "algorithm": ALGORITHM,
            "settings": settings,
            "reweight": dataset.reweight and dataset.reweight.model_dump(mode="json"),
            "samples": samples,
            "places": sorted(str(f.path) for f in files) if dataset.stream == "direct" else [],
            "classes": list(dataset.classes.items()),
            "candidate": _features(dataset.candidate),
            "groups": [
                [name, group.select, group.order_by, _features(group.features)]
                for name, group in dataset.groups.items()
            ],
            "spectators": list(dataset.spectators.items()),
            **({"layout": layout} if dataset.layout.type == "events" else {}),
        }
    )


def _features(features: dict[str, Feature]) -> list[Any]:
    return [[name, feature.model_dump(mode="json")] for name, feature in features.items()]
