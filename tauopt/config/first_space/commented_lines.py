"""Layout of YAML lines with comments: comments in a column, paragraphs, lists over lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 100
"""Most characters of a line."""
_COLUMNS = (51, 55)
"""Smallest and largest column of a block's comments; a longer line has its comment elsewhere."""
_COMMENT_WIDTH = WIDTH - _COLUMNS[0] - len("# ")


@dataclass(frozen=True)
class CommentedLine:
    """A line of a file, and its comment without `#`."""

    text: str
    comment: str = ""


def aligned(lines: Iterable[CommentedLine]) -> list[str]:
    """Align the comments of a block in one column.

    A line that is longer has its comment right after it, or above it if that is too long.
    """
    block = [*lines]
    smallest, largest = _COLUMNS
    ends = [len(line.text) + 2 for line in block if line.comment]
    column = max([smallest, *(end for end in ends if end <= largest)])
    return [text for line in block for text in _with_comment(line, column)]


def _with_comment(line: CommentedLine, column: int) -> list[str]:
    if not line.comment:
        return [line.text]
    if len(line.text) + 2 <= column:
        first, *others = textwrap.wrap(line.comment, WIDTH - column - len("# "))
        margin = " " * column
        return [f"{line.text:<{column}}# {first}", *(f"{margin}# {part}" for part in others)]
    if len(in_one_line := f"{line.text}  # {line.comment}") <= WIDTH:
        return [in_one_line]
    indent = len(line.text) - len(line.text.lstrip())
    return [*paragraph(line.comment, indent=indent), line.text]


def without_repeated_comments(lines: Iterable[CommentedLine]) -> list[CommentedLine]:
    """Keep each comment at its first line only."""
    seen: set[str] = set()
    distinct = []
    for line in lines:
        distinct.append(CommentedLine(line.text, "" if line.comment in seen else line.comment))
        seen.add(line.comment)
    return distinct


def comment(docstring: str | None) -> str:
    """Return a docstring's first sentence as a comment, or the first clause if it is too long."""
    # A full stop after another one is part of `...`, not the end of a sentence.
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", " ".join((docstring or "").split()))[0]
    if len(sentence) > _COMMENT_WIDTH:
        sentence = re.split(r"[:;] ", sentence)[0]
    # An acronym, such as GPU or MLflow, keeps its capitals.
    is_word = sentence[:1].isupper() and not sentence[1:2].isupper()
    return sentence[:1].lower() + sentence[1:] if is_word else sentence


def paragraph(text: str, *, indent: int = 0) -> list[str]:
    """Wrap text into lines of comment."""
    prefix = " " * indent + "# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False
    )


def flow_list(key: str, items: Sequence[str], *, indent: int) -> list[str]:
    """Return a list of YAML scalars in brackets (flow style), over as many lines as it needs."""
    start = f"{' ' * indent}{key}: ["
    text = start + ", ".join(items) + "]"
    if len(text) <= WIDTH:
        return [text]
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=" " * len(start), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
