"""Lines of a YAML file with comments behind them, one below the other."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 100
_COLUMNS = (51, 55)
"""Letters before the comments of a block at least and at most; lines may be longer."""
_ROOM = WIDTH - _COLUMNS[0] - len("# ")


@dataclass(frozen=True)
class CommentedLine:
    """A line of a file, and what is to be said of it."""

    text: str
    comment: str = ""


def laid_out(lines: Iterable[CommentedLine]) -> list[str]:
    """Return a block with its comments in a column; of a line beyond it, behind or above."""
    block = [*lines]
    least, most = _COLUMNS
    ends = [len(line.text) + 2 for line in block if line.comment]
    column = max([least, *(end for end in ends if end <= most)])
    return [text for line in block for text in _laid_out(line, column)]


def _laid_out(line: CommentedLine, column: int) -> list[str]:
    if not line.comment:
        return [line.text]
    if len(line.text) + 2 <= column:
        first, *more = textwrap.wrap(line.comment, WIDTH - column - len("# "))
        left = " " * column
        return [f"{line.text:<{column}}# {first}", *(f"{left}# {part}" for part in more)]
    if len(behind := f"{line.text}  # {line.comment}") <= WIDTH:
        return [behind]
    indent = len(line.text) - len(line.text.lstrip())
    return [*paragraph(line.comment, indent=indent), line.text]


def said_once(lines: Iterable[CommentedLine]) -> list[CommentedLine]:
    """Return lines of which each comment stands at the first only."""
    seen: set[str] = set()
    left = []
    for line in lines:
        left.append(CommentedLine(line.text, "" if line.comment in seen else line.comment))
        seen.add(line.comment)
    return left


def comment(docstring: str | None) -> str:
    """Make a comment of a docstring: its first sentence, or of a long one the first clause."""
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", " ".join((docstring or "").split()))[0]
    if len(sentence) > _ROOM:
        sentence = re.split(r"[:;] ", sentence)[0]
    begins_plainly = sentence[:1].isupper() and not sentence[1:2].isupper()
    return sentence[:1].lower() + sentence[1:] if begins_plainly else sentence


def paragraph(text: str, *, indent: int = 0) -> list[str]:
    """Return a text as lines of comment."""
    prefix = " " * indent + "# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False
    )


def flow(key: str, items: Sequence[str], *, indent: int) -> list[str]:
    """Return a list of YAML scalars in brackets, over as many lines as it needs."""
    start = f"{' ' * indent}{key}: ["
    text = start + ", ".join(items) + "]"
    if len(text) <= WIDTH:
        return [text]
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=" " * len(start), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
