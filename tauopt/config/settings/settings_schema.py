"""Type annotations of the settings classes by path: which keys a file may have where.

A path is a tuple of keys. Its annotation is found by walking the settings classes along the path;
where `type` selects a class, the file's own value of `type` decides.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from tauopt.config.settings.base import Settings
from tauopt.config.settings.networks.hypermodel import OWN_TYPE, is_own_type
from tauopt.config.source.yaml_source import Node, Place

Path = tuple[str, ...]


def unwrapped(annotation: Any) -> Any:
    """Return an annotation without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return unwrapped(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, Union):
        members = [part for part in get_args(annotation) if part is not type(None)]
        return unwrapped(members[0]) if len(members) == 1 else annotation
    return annotation


def by_type(annotation: Any) -> dict[str, type[Settings]]:
    """Return the classes among which `type` selects, by its value; empty if there is no union.

    The class of the user's own models, whose `type` is any import path, has the key `module:Class`.
    """
    members = _members(annotation)
    if len(members) < 2:
        return {}
    return {
        (get_args(member.model_fields["type"].annotation) or (OWN_TYPE,))[0]: member
        for member in members
    }


def _members(annotation: Any) -> list[Any]:
    """Return the classes of a union and of unions within it; a single class is its own member."""
    annotation = unwrapped(annotation)
    if get_origin(annotation) not in (types.UnionType, Union):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def tags(annotation: Any) -> set[str]:
    """Return the tags of a union's members, which pydantic puts into the locations of errors."""
    members = get_args(unwrapped(annotation))
    metadata = [item for member in members for item in getattr(member, "__metadata__", ())]
    return {item.tag for item in metadata if isinstance(item, Tag)}


def settings_class(annotation: Any, node: Node | None) -> type[Settings] | None:
    """Return the settings class of an annotation; None if there is none.

    Args:
        annotation: a class, or a union among which `type` selects.
        node: the mapping in the file, for its `type`; None if the file has none.
    """
    annotation = unwrapped(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    type_ = node.entries.get("type") if node is not None else None
    if type_ is None:
        return None
    return by_type(annotation).get(OWN_TYPE if is_own_type(type_.value) else str(type_.value))


def fields(annotation: Any, node: Node | None) -> dict[str, FieldInfo]:
    """Return the fields of an annotation's settings class, by name; empty if there is none."""
    settings = settings_class(annotation, node)
    return dict(settings.model_fields) if settings else {}


def mapping_values(annotation: Any) -> Any:
    """Return the annotation of the values of a mapping with free keys; None for anything else."""
    annotation = unwrapped(annotation)
    return get_args(annotation)[1] if get_origin(annotation) is dict else None


def child(annotation: Any, key: str, node: Node | None) -> Any:
    """Return the annotation of `key` below an annotation; None if there can be no such key."""
    if (values := mapping_values(annotation)) is not None:
        return values
    field = fields(annotation, node).get(key)
    return field.annotation if field else None


def is_scalar(annotation: Any) -> bool:
    """Return whether an annotation is that of a single value."""
    annotation = unwrapped(annotation)
    return get_origin(annotation) is Literal or annotation in (bool, int, float, str)


def leaves(annotation: Any, node: Node | None, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every single value below `path`, present in the file or not."""
    if is_scalar(annotation):
        yield path
        return
    entries = node.entries if node is not None else {}
    if (values := mapping_values(annotation)) is not None:
        for name, entry in entries.items():
            yield from leaves(values, entry, (*path, name))
        return
    for name, field in fields(annotation, node).items():
        below = entries.get(name) or default_node(field)
        yield from leaves(field.annotation, below, (*path, name))


def default_node(field: FieldInfo | None) -> Node | None:
    """Return a field's default mapping with empty values, as if the file held its keys.

    None if the default is no mapping or empty.
    """
    if field is None or not isinstance(field.default, dict) or not field.default:
        return None
    nowhere = Place("")
    return Node({name: Node({}, nowhere) for name in field.default}, nowhere)
