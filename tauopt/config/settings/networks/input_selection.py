"""Selection of a network's inputs: texts that select groups (`inputs`) and drop features (`drop`).

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


def _checked_inputs(text: str) -> str:
    if not _INPUTS.fullmatch(text):
        raise ValueError(
            f"expected all, or names with + between them, or all- and names to leave out, "
            f"for instance all-clusters; got {text!r}"
        )
    return text


def _checked_drop(text: str) -> str:
    for word in text.split():
        if not _DROPPED.fullmatch(word):
            raise ValueError(f"expected features as group.feature, got {word!r}")
    return text


InputsText = Annotated[str, AfterValidator(_checked_inputs)]
DropText = Annotated[str, AfterValidator(_checked_drop)]
NamesText = Annotated[str, StringConstraints(pattern=rf"^{_NAME}( {_NAME})*$")]
"""Names of features with spaces between them; in each group the first name that it has counts."""


def selected_groups(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the groups that an `inputs` text selects, in the order of `known`.

    Args:
        text: an `inputs` text, such as `all-clusters`.
        known: `candidate` and the groups of the network.
    Raises:
        ValueError: the text is not an `inputs` text, has an unknown or repeated name, or leaves no
            group.
    """
    text = _checked_inputs(text)
    excludes = text.startswith(f"{ALL}-")
    names = [] if text == ALL else text.split("-")[1:] if excludes else text.split("+")
    for position, name in enumerate(names):
        if name not in known:
            raise ValueError(
                f"unknown group {name!r}{nearest(name, known)}; the model has {', '.join(known)}"
            )
        if name in names[:position]:
            raise ValueError(f"{name!r} appears twice")
    selected = tuple(name for name in known if text == ALL or (name in names) != excludes)
    if not selected:
        raise ValueError("no input is left; a network must see at least one group or `candidate`")
    return selected


def dropped_features(text: str) -> dict[str, tuple[str, ...]]:
    """Return the features that a `drop` text leaves out, by group.

    Raises:
        ValueError: a word is not of the form `group.feature`.
    """
    features: dict[str, tuple[str, ...]] = {}
    for word in _checked_drop(text).split():
        group, feature = word.split(".")
        features[group] = (*features.get(group, ()), feature)
    return features


def kept_positions(features: Sequence[str], dropped: Sequence[str], *, group: str) -> list[int]:
    """Return the positions of the features that a network sees.

    Args:
        features: names of the group's features.
        dropped: names of the features to drop.
        group: the group's name, for messages.
    Raises:
        ValueError: the group has no feature of a name in `dropped`, or no feature is left.
    """
    for name in dropped:
        if name not in features:
            raise ValueError(
                f"unknown feature {group}.{name}{nearest(name, features)}; "
                f"{group} has {', '.join(features)}"
            )
    positions = [position for position, name in enumerate(features) if name not in dropped]
    if not positions:
        raise ValueError(f"no feature of {group} is left; leave {group} out by `inputs`")
    return positions


def first_feature(names: str, features: Sequence[str], *, group: str) -> str:
    """Return the first of several names that is a feature of a group.

    Args:
        names: names of features with spaces between them.
        features: names of the group's features.
        group: the group's name, for messages.
    Raises:
        ValueError: the group has none of these features.
    """
    for name in names.split():
        if name in features:
            return name
    raise ValueError(
        f"expected {group} to have a feature {' or '.join(names.split())}"
        f"{nearest(names.split()[0], features)}; it has {', '.join(features) or 'none'}"
    )
