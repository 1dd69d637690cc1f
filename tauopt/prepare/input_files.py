"""The input files of a dataset, and what is known of them before they are read."""

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
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.input_globs import Signature, expand
from tauopt.ntuples.source import BadFileError, Source, TableInfo
from tauopt.physics.expressions import Expression
from tauopt.prepare.dataset_expressions import DatasetExpressions, read
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
    """Why it can't be read; empty if it can."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path


def find_files(dataset: Dataset, plan: DatasetExpressions) -> list[InputFile]:
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


def with_remembered_digests(files: Sequence[InputFile], *, cache: Path) -> list[InputFile]:
    """Return the files, those whose digests are remembered with them.

    Raises:
        DataError: a sample has the same content twice.
    """
    result = []
    for file in files:
        found = None
        with contextlib.suppress(OSError):  # told when it is read
            found = input_digests.recall(file.path, cache=cache)
        result.append(replace(file, sha256=found[0], signature=found[1]) if found else file)
    _check_twice(result)
    return result


def with_digests(files: Sequence[InputFile], *, cache: Path, progress: Progress) -> list[InputFile]:
    """Read those files for their digests that have none; what can't be read carries a problem.

    Raises:
        DataError: a file changes meanwhile, or a sample has the same content twice.
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


Look = Callable[[InputFile], TableInfo]


def look(file: InputFile) -> TableInfo:
    """Look at the header of a file; raises as `Source.inspect`."""
    return file.source.inspect(file.branches)


def with_entries(files: Sequence[InputFile], *, look: Look = look) -> list[InputFile]:
    """Look at the header of every file; those that can't be read carry a problem.

    Args:
        files: of all samples.
        look: tells what the header of a file says.
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
            info = look(file)
            problems += _other_kinds(file, info, kinds)
            result.append(replace(file, entries=info.entries, jagged=info.jagged))
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
    check_tolerated(problems, of=len(files), tolerated=tolerated)
    for problem in problems:
        logger.warning("left out: %s", problem)


def check_tolerated(problems: Sequence[str], *, of: int, tolerated: int) -> None:
    """Stop if there are more problems, of that many files, than tolerated; as `check_bad_files`."""
    if len(problems) > tolerated:
        raise BadFileError(
            "\n".join(problems)
            + f"\n{len(problems)} of {of} files can't be read, {tolerated} are tolerated "
            "(`bad_files` of the dataset file)"
        )
