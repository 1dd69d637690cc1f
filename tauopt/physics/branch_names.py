"""How branches are named in expressions: as they are, or in backticks.

`AuxDyn:pt`, `evt/pt`, `Jet#0.index`, `arr[10]`, `6dVec` would be read as arithmetic, or not at all.
In backticks any name is a branch, as in pandas' `query`; a backtick inside is written twice.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from tauopt.errors import nearest

BARE_CONSTANTS = frozenset({"true", "false", "pi", "inf", "nan"})
"""What these names mean in an expression; a branch of such a name needs backticks."""

HINT = "a branch of such a name is written in backticks: `AuxDyn:pt`"

_KEYWORDS = frozenset(keyword.kwlist)
_PLAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_QUOTED = re.compile(r"`((?:[^`]|``)+)`")
_PLACEHOLDER = "tauopt_quoted_"


def written(branch: str) -> str:
    """Return a branch's name as an expression writes it, in backticks where it needs them."""
    if _is_plain(branch):
        return branch
    return "`" + branch.replace("`", "``") + "`"


def _is_plain(branch: str) -> bool:
    if not _PLAIN.fullmatch(branch) or branch in BARE_CONSTANTS:
        return False
    return _KEYWORDS.isdisjoint(branch.split("."))  # which formulate refuses


def nearest_branch(name: str, known: Collection[str]) -> str:
    """Say which branch was probably meant, as it is written; ` (did you mean 'x'?)` or nothing.

    A name with `/`, `:` or brackets falls into pieces where the backticks were forgotten: of such
    a piece, the branch that holds it is proposed.
    """
    whole = [
        other
        for other in known
        if name in re.split(r"[^\w.]+", other) and other != name and not _is_plain(other)
    ]
    hint = f" (did you mean {min(whole, key=len)!r}?)" if whole else nearest(name, known)
    found = re.search(r"'(.*)'\?\)$", hint)
    if found is None or written(found[1]) == found[1]:
        return hint
    return f" (did you mean {written(found[1])}, in backticks?)"


class Unquoted(NamedTuple):
    """A text whose quoted names were replaced by placeholders that every parser takes for names."""

    text: str
    names: Mapping[str, str]
    """Placeholder -> branch."""
    shifts: tuple[tuple[int, int], ...]
    """End of each placeholder in `text`, and how much longer the original is up to there."""

    def column(self, position: int) -> int:
        """Return the column of the original text, from 1, of one of `text`; 0 stays 0."""
        before = [longer for end, longer in self.shifts if end < position]
        return position + (before[-1] if before else 0)

    def original(self, message: str) -> str:
        """Put the names of branches, as they were written, for the placeholders of a message."""
        return re.sub(
            rf"{_PLACEHOLDER}\d+",
            lambda match: written(self.names.get(match[0], match[0])),
            message,
        )


def unquote(text: str) -> Unquoted:
    """Replace names in backticks by placeholders.

    Raises:
        QuoteError: a backtick is not closed, or stands beside other letters of a name.
    """
    names: dict[str, str] = {}
    shifts: list[tuple[int, int]] = []
    parts: list[str] = []
    at = length = 0
    for match in _QUOTED.finditer(text):
        _check_alone(text, match)
        between = text[at : match.start()]
        _check_closed(between, at)
        placeholder = f"{_PLACEHOLDER}{len(names)}"
        names[placeholder] = match[1].replace("``", "`")
        parts += [between, placeholder]
        at, length = match.end(), length + len(between) + len(placeholder)
        shifts.append((length, at - length))
    _check_closed(text[at:], at)
    return Unquoted("".join([*parts, text[at:]]), names, tuple(shifts))


class QuoteError(ValueError):
    """Backticks that hold no name; `position` is the column, from 1."""

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(message)


def _check_closed(text: str, start: int) -> None:
    if "`" in text:
        raise QuoteError("a backtick that is not closed", start + text.index("`") + 1)


def _check_alone(text: str, match: re.Match[str]) -> None:
    beside = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    if re.search(r"[\w.$`]", beside):
        message = "backticks go around the whole name of a branch"
        raise QuoteError(message, match.start() + 1)
    if text[match.end() :].lstrip().startswith("("):
        raise QuoteError("a name in backticks is a branch, no function", match.start() + 1)
    for place, character in enumerate(match[1], start=match.start() + 2):
        if not character.isprintable():
            raise QuoteError(f"unexpected character {character!r} in a name", place)
