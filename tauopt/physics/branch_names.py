"""Quote branch names in expressions with backticks, as pandas' `query` does.

`AuxDyn:pt`, `evt/pt`, `Jet#0.index`, `arr[10]`, `6dVec` would be parsed as arithmetic or rejected;
in backticks they are branches. A backtick inside of a name is doubled.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from tauopt.errors import nearest

BARE_CONSTANTS = frozenset({"true", "false", "pi", "inf", "nan"})
"""Names that are constants in an expression; a branch of such a name needs backticks."""

HINT = "a branch of such a name is written in backticks: `AuxDyn:pt`"

_KEYWORDS = frozenset(keyword.kwlist)
_PLAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_QUOTED = re.compile(r"`((?:[^`]|``)+)`")
_PLACEHOLDER = "tauopt_quoted_"


def quote(branch: str) -> str:
    """Return a branch's name as written in an expression, in backticks if it needs them."""
    if _is_plain(branch):
        return branch
    return "`" + branch.replace("`", "``") + "`"


def _is_plain(branch: str) -> bool:
    if not _PLAIN.fullmatch(branch) or branch in BARE_CONSTANTS:
        return False
    return _KEYWORDS.isdisjoint(branch.split("."))  # formulate rejects Python's keywords


def nearest_branch(name: str, known: Collection[str]) -> str:
    """Return a hint ` (did you mean 'x'?)` at the branch that was probably meant, or "".

    A name with `/`, `:` or brackets that lacks its backticks is parsed in pieces: the hint at such
    a piece is the branch whose name contains it.
    """
    containing = [
        other
        for other in known
        if name in re.split(r"[^\w.]+", other) and other != name and not _is_plain(other)
    ]
    hint = f" (did you mean {min(containing, key=len)!r}?)" if containing else nearest(name, known)
    suggestion = re.search(r"'(.*)'\?\)$", hint)
    if suggestion is None or quote(suggestion[1]) == suggestion[1]:
        return hint
    return f" (did you mean {quote(suggestion[1])}, in backticks?)"


class Unquoted(NamedTuple):
    """A text whose quoted names are replaced by placeholders that every parser accepts as names."""

    text: str
    names: Mapping[str, str]
    """Placeholder -> branch."""
    shifts: tuple[tuple[int, int], ...]
    """End of each placeholder in `text`, and the excess length of the original up to there."""

    def column(self, position: int) -> int:
        """Return the column in the original text of a column in `text`, both from 1; 0 stays 0."""
        before = [excess for end, excess in self.shifts if end < position]
        return position + (before[-1] if before else 0)

    def original(self, message: str) -> str:
        """Replace the placeholders in a message by the names of the branches, as written."""
        return re.sub(
            rf"{_PLACEHOLDER}\d+",
            lambda match: quote(self.names.get(match[0], match[0])),
            message,
        )


def unquote(text: str) -> Unquoted:
    """Replace names in backticks by placeholders.

    Raises:
        QuoteError: a backtick is not closed, or is next to other letters of a name.
    """
    names: dict[str, str] = {}
    shifts: list[tuple[int, int]] = []
    parts: list[str] = []
    end = length = 0
    for match in _QUOTED.finditer(text):
        _check_alone(text, match)
        between = text[end : match.start()]
        _check_closed(between, end)
        placeholder = f"{_PLACEHOLDER}{len(names)}"
        names[placeholder] = match[1].replace("``", "`")
        parts += [between, placeholder]
        end, length = match.end(), length + len(between) + len(placeholder)
        shifts.append((length, end - length))
    _check_closed(text[end:], end)
    return Unquoted("".join([*parts, text[end:]]), names, tuple(shifts))


class QuoteError(ValueError):
    """Backticks that quote no name; `position` is the column, from 1."""

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(message)


def _check_closed(text: str, start: int) -> None:
    if "`" in text:
        raise QuoteError("the backtick is not closed", start + text.index("`") + 1)


def _check_alone(text: str, match: re.Match[str]) -> None:
    beside = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    if re.search(r"[\w.$`]", beside):
        message = "backticks must go around the whole name of a branch"
        raise QuoteError(message, match.start() + 1)
    if text[match.end() :].lstrip().startswith("("):
        raise QuoteError("a name in backticks is a branch, not a function", match.start() + 1)
    for position, character in enumerate(match[1], start=match.start() + 2):
        if not character.isprintable():
            raise QuoteError(f"unexpected character {character!r} in a name", position)
