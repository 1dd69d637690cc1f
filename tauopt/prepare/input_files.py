"""The input files of a dataset: their digests, headers, entries and problems, before reading."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tauopt.config.settings.dataset import Dataset
from tauopt.errors import DataError
from tauopt.ntuples import input_digests
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.input_globs import Signature, expand
from tauopt.ntuples.source import Source, TableInfo
from tauopt.physics.expressions import Expression
from tauopt.prepare.dataset_expressions import DatasetExpressions, parse_expression
from tauopt.progress import Progress

logger = logging.getLogger(__name__)


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
    jagged: Mapping[str, bool] = field(default_factory=dict)
    """Branch -> whether it holds several values a candidate."""
    problem: str = ""
    """Why the file can't be read; empty if it can."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.source.path


def find_files(dataset: Dataset, plan: DatasetExpressions) -> list[InputFile]:
    """Expand the globs of all samples.

    Raises:
        DataError: a glob matches nothing, a weight is no expression, or friends are given for files
            that are not ROOT files.
    """
    files = []
    for name, sample in dataset.samples.items():
        weight = parse_expression(sample.weight, f"samples.{name}.weight")
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


def with_remembered_digests(files: Sequence[InputFile], *, cache: Path) -> list[InputFile]:
    """Return the files with their digests from the cache, where the cache has them.

    Raises:
        DataError: a sample has the same content twice.
    """
    result = []
    for file in files:
        recalled = None
        with contextlib.suppress(OSError):  # reported later, when the file is read
            recalled = input_digests.recall(file.path, cache=cache)
        if recalled:
            file = replace(file, sha256=recalled[0], signature=recalled[1])
        result.append(file)
    _check_same_content(result)
    return result


def with_digests(files: Sequence[InputFile], *, cache: Path, progress: Progress) -> list[InputFile]:
    """Compute the missing digests; a file that can't be read gets a `problem`.

    Raises:
        DataError: a file changes while it is read, or a sample has the same content twice.
    """
    unknown = [file for file in files if not file.sha256]
    progress.begin("digests of input files", len(unknown), "files")
    result = []
    for file in files:
        if file.sha256:
            result.append(file)
            continue
        try:
            sha256, signature = input_digests.digest(file.path, cache=cache)
            result.append(replace(file, sha256=sha256, signature=signature))
        except OSError as error:
            problem = f"{file.path}: can't be read whole: {error.strerror}"
            result.append(replace(file, problem=file.problem or problem))
        progress.advance()
    _check_same_content(result)
    return result


def _check_same_content(files: Iterable[InputFile]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        other = seen.setdefault((file.sample, file.sha256), file.path)
        if other != file.path and file.sha256:
            raise DataError(
                f"sample {file.sample!r}: {other} and {file.path} have the same content; "
                "their candidates would count twice; remove one of them"
            )


ReadHeader = Callable[[InputFile], TableInfo]


def read_header(file: InputFile) -> TableInfo:
    """Read the header of a file; raises as `Source.inspect`."""
    return file.source.inspect(file.branches)


def with_entries(
    files: Sequence[InputFile], *, header: ReadHeader = read_header
) -> list[InputFile]:
    """Add entries and kinds of branches; a file that can't be read gets a `problem`.

    Args:
        files: of all samples.
        header: reads the header of a file.
    Raises:
        DataError: branches are missing, not numbers, or a list in some files of a sample and one
            number in others (names all files at once); all files of a sample are empty.
    """
    result, problems = [], []
    kinds: dict[tuple[str, str], tuple[bool, Path]] = {}
    for file in files:
        if file.problem:
            result.append(file)
            continue
        try:
            info = header(file)
            problems += _kind_problems(file, info, kinds)
            result.append(replace(file, entries=info.entries, jagged=info.jagged))
        except BadFileError as error:
            result.append(replace(file, problem=str(error)))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(_group_by_problem(problems)))
    _check_empty(result)
    return result


def _group_by_problem(problems: Sequence[str]) -> list[str]:
    """Return each problem once, with the first file that has it and the number of the others."""
    files: dict[str, list[str]] = {}
    for line in problems:
        path, _, problem = line.partition(": ")
        files.setdefault(problem, []).append(path)
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more files' if len(paths) > 1 else ''}: {problem}"
        for problem, paths in files.items()
    ]


def _kind_problems(
    file: InputFile, info: TableInfo, kinds: dict[tuple[str, str], tuple[bool, Path]]
) -> list[str]:
    """Return the branches that are a list here and one number in an earlier file, or vice versa."""
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
            raise DataError(f"sample {sample!r}: all its files are empty, expected candidates")


def check_bad_files(files: Sequence[InputFile], *, tolerated: int) -> None:
    """Check that no more files are bad than tolerated; log those that are left out.

    Raises:
        BadFileError: names each bad file and its problem.
    """
    problems = [file.problem for file in files if file.problem]
    check_tolerated(problems, files=len(files), tolerated=tolerated)
    for problem in problems:
        logger.warning("left out: %s", problem)


def check_tolerated(problems: Sequence[str], *, files: int, tolerated: int) -> None:
    """Check that no more of some number of files have a problem than tolerated.

    Raises:
        BadFileError: names each problem.
    """
    if len(problems) > tolerated:
        raise BadFileError(
            "\n".join(problems)
            + f"\n{len(problems)} of {files} files can't be read, {tolerated} are tolerated "
            "(`bad_files` of the dataset file)"
        )
