"""Provenance of a study: file, dataset, code and method, which must stay the same on resume."""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import tauopt


@dataclass(frozen=True)
class Provenance:
    """What a study was made from; all but `commit` must stay the same for it to be continued."""

    experiment: str
    """Digest of the experiment file's settings and space."""
    text: str
    """All settings and ranges of the experiment, one a line, to show what changed."""
    dataset: str
    """Digest of the prepared dataset."""
    code: str
    """tauopt's version, and a digest of its source."""
    commit: str
    """Git commit of the working directory, empty if there is none; shown, not compared."""
    model: str = ""
    """Digest of the source of a user's HyperModel; empty for tauopt's networks."""
    own_objectives: str = ""
    """Digests of the sources of a user's own objectives; empty without any."""
    method: str = ""
    """Number of the training method; empty in studies from before there were several."""

    def attributes(self) -> dict[str, str]:
        """Return the study's attributes by name."""
        return {f"tauopt.{name}": value for name, value in asdict(self).items()}


def from_attributes(attributes: Mapping[str, object]) -> Provenance:
    """Return the provenance in a study's attributes; unknown parts are empty."""
    names = Provenance.__dataclass_fields__
    return Provenance(**{name: str(attributes.get(f"tauopt.{name}", "")) for name in names})


def differences(before: Provenance, now: Provenance) -> list[str]:
    """Return what changed between two provenances, in lines; empty if nothing did."""
    lines: list[str] = []
    if before.experiment != now.experiment:
        lines += ["the experiment file changed:", *_text_difference(before.text, now.text)]
    if before.dataset != now.dataset:
        lines += [f"the prepared dataset changed: {before.dataset[:16]} -> {now.dataset[:16]}"]
    if before.model != now.model:
        lines += [f"the model's source changed: {before.model[:16]} -> {now.model[:16]}"]
    if before.own_objectives != now.own_objectives:
        lines += ["the source of an objective changed: values of earlier trials are of another"]
    if before.code != now.code:
        lines += [f"tauopt changed: {before.code} -> {now.code}"]
        if before.commit != now.commit:
            lines += [f"  git commit {before.commit[:12] or '?'} -> {now.commit[:12] or '?'}"]
    if before.method != now.method:
        lines += [
            f"tauopt trains in another way: method {before.method or '1'} -> {now.method or '1'}; "
            "values of earlier trials can't be compared with those of new ones"
        ]
    return lines


def _text_difference(before: str, now: str) -> list[str]:
    compared = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "study", "file", lineterm="", n=2
    )
    return [f"  {line}" for line in compared]


@functools.cache
def code_version() -> str:
    """Return tauopt's version and the first 12 hexadecimal digits of its source's digest."""
    folder = Path(tauopt.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return f"{tauopt.__version__}+{digest.hexdigest()[:12]}"
