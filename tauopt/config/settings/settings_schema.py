"""What the settings classes say about a file's shape: which keys may stand where.

A place in a file is a path of keys. Its annotation is found by walking the settings classes
along the path; where a class is chosen by `type`, the file's own value of `type` decides.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from tauopt.config.settings.base import Settings
from tauopt.config.settings.networks.hypermodel import OWN, is_own
from tauopt.config.source.yaml_source import Node, Place

Path = tuple[str, ...]


def inner(annotation: Any) -> Any:
    """Return an annotation without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return inner(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, Union):
        members = [part for part in get_args(annotation) if part is not type(None)]
        return inner(members[0]) if len(members) == 1 else annotation
    return annotation


def by_type(annotation: Any) -> dict[str, type[Settings]]:
    """Return the classes that `type` chooses between, by its value; empty if there is no choice.

    A class that takes more than one value as its `type` stands under `module:Class`.
    """
    members = _members(annotation)
    if len(members) < 2:
        return {}
    return {(get_args(m.model_fields["type"].annotation) or (OWN,))[0]: m for m in members}


def _members(annotation: Any) -> list[Any]:
    """Return the classes of a union, of unions in it too; a single class is one member."""
    annotation = inner(annotation)
    if get_origin(annotation) not in (types.UnionType, Union):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def tags(annotation: Any) -> set[str]:
    """Return the names that parts of a union have in pydantic's locations."""
    parts = get_args(inner(annotation))
    found = [note for part in parts for note in getattr(part, "__metadata__", ())]
    return {note.tag for note in found if isinstance(note, Tag)}


def settings_class(annotation: Any, node: Node | None) -> type[Settings] | None:
    """Return the settings class of a place; None if it has none or `type` names none."""
    annotation = inner(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    chosen = node.entries.get("type") if node is not None else None
    if chosen is None:
        return None
    return by_type(annotation).get(OWN if is_own(chosen.value) else str(chosen.value))


def fields(annotation: Any, node: Node | None) -> dict[str, FieldInfo]:
    """Return the fields of a place's settings class, by name; empty if it has none."""
    settings = settings_class(annotation, node)
    return dict(settings.model_fields) if settings else {}


def of_mapping(annotation: Any) -> Any:
    """Return the annotation of a free mapping's values; None if the place is no such mapping."""
    annotation = inner(annotation)
    return get_args(annotation)[1] if get_origin(annotation) is dict else None


def child(annotation: Any, key: str, node: Node | None) -> Any:
    """Return the annotation of `key` in a place; None if the place has no such key."""
    if (values := of_mapping(annotation)) is not None:
        return values
    field = fields(annotation, node).get(key)
    return field.annotation if field else None


def is_scalar(annotation: Any) -> bool:
    """Say whether a place holds a single value."""
    annotation = inner(annotation)
    return get_origin(annotation) is Literal or annotation in (bool, int, float, str)


def leaves(annotation: Any, node: Node | None, path: Path = ()) -> Iterator[Path]:
    """Give the path of every single value below a place, present in the file or not."""
    if is_scalar(annotation):
        yield path
        return
    entries = node.entries if node is not None else {}
    if (values := of_mapping(annotation)) is not None:
        for name, entry in entries.items():
            yield from leaves(values, entry, (*path, name))
        return
    for name, field in fields(annotation, node).items():
        following = entries.get(name) or default_node(field)
        yield from leaves(field.annotation, following, (*path, name))


def default_node(field: FieldInfo | None) -> Node | None:
    """Return the keys of a mapping that is there by default, as if the file held them."""
    if field is None or not isinstance(field.default, dict) or not field.default:
        return None
    nowhere = Place("")
    return Node({name: Node({}, nowhere) for name in field.default}, nowhere)


def at(annotation: Any, path: Path, root: Node | None) -> Any:
    """Return the annotation at `path` below a place; None if there can be none."""
    node = root
    for key in path:
        annotation = child(annotation, key, node)
        if annotation is None:
            return None
        node = node.entries.get(key) if node is not None else None
    return annotation
