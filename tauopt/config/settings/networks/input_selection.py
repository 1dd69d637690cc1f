"""What a network sees of a candidate: texts that choose groups and leave out features.

`inputs` is `all`, `all-clusters` or `candidate+tracks`; `drop` is `tracks.d0 clusters.et`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from tauopt.errors import nearest

ALL = "all"
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_INPUTS = re.compile(rf"{_NAME}(\+{_NAME})*|{ALL}(-{_NAME})+")
_DROPPED = re.compile(rf"{_NAME}\.{_NAME}")


def _inputs(text: str) -> str:
    if not _INPUTS.fullmatch(text):
        raise ValueError(
            f"expected all, or names with + between them, or all- and names to leave out, "
            f"for instance all-clusters; got {text!r}"
        )
    return text


def _drop(text: str) -> str:
    for word in text.split():
        if not _DROPPED.fullmatch(word):
            raise ValueError(f"expected features as group.feature, got {word!r}")
    return text


InputsText = Annotated[str, AfterValidator(_inputs)]
DropText = Annotated[str, AfterValidator(_drop)]
NamesText = Annotated[str, StringConstraints(pattern=rf"^{_NAME}( {_NAME})*$")]
"""Names of features with spaces between them, of which a group's first one counts."""


def chosen(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return those of `known` that an `inputs` text chooses, in their order.

    Args:
        text: as a file writes it.
        known: the candidate's own features and the groups of the network.
    Raises:
        ValueError: the text names something else, something twice, or leaves nothing.
    """
    text = _inputs(text)
    out = text.startswith(f"{ALL}-")
    names = [] if text == ALL else text.split("-")[1:] if out else text.split("+")
    for position, name in enumerate(names):
        if name not in known:
            raise ValueError(
                f"unknown group {name!r}{nearest(name, known)}; the model has {', '.join(known)}"
            )
        if name in names[:position]:
            raise ValueError(f"{name!r} stands twice")
    left = tuple(name for name in known if text == ALL or (name in names) != out)
    if not left:
        raise ValueError("a network must see at least something")
    return left


def dropped(text: str) -> dict[str, tuple[str, ...]]:
    """Return the features that a `drop` text leaves out, by group.

    Raises:
        ValueError: a word is no `group.feature`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in _drop(text).split():
        group, feature = word.split(".")
        found[group] = (*found.get(group, ()), feature)
    return found


def kept(features: Sequence[str], out: Sequence[str], *, group: str) -> list[int]:
    """Return the positions of the features that a network sees.

    Args:
        features: of the group, by name.
        out: those to drop.
        group: their group's name, for messages.
    Raises:
        ValueError: there is no feature of a name to drop, or none is left.
    """
    for name in out:
        if name not in features:
            raise ValueError(
                f"unknown feature {group}.{name}{nearest(name, features)}; "
                f"{group} has {', '.join(features)}"
            )
    left = [position for position, name in enumerate(features) if name not in out]
    if not left:
        raise ValueError(f"no feature of {group} is left; leave {group} out by `inputs`")
    return left


def first_of(names: str, features: Sequence[str], *, group: str) -> str:
    """Return the first of some names that a group has a feature of.

    Args:
        names: with spaces between them.
        features: of the group, by name.
        group: its name, for messages.
    Raises:
        ValueError: it has none of them.
    """
    for name in names.split():
        if name in features:
            return name
    raise ValueError(
        f"expected {group} to have a feature {' or '.join(names.split())}"
        f"{nearest(names.split()[0], features)}; it has {', '.join(features) or 'none'}"
    )
