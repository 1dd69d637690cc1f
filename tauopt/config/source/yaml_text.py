"""Writes a tree as YAML that reads back the same, here and in older readers."""

from __future__ import annotations

import re

import yaml

from tauopt.config.source.yaml_source import Node


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.2 would take for a number, besides what PyYAML quotes itself."""

    def ignore_aliases(self, data: object) -> bool:
        """Write a value that stands at several places at each of them."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote the line breaks of Unicode, which PyYAML otherwise writes as they are and loses."""
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^0o[0-7]+$"),
    list("-+.0123456789"),
)


def to_text(node: Node) -> str:
    """Return a tree as YAML text, keys in the tree's order."""
    return plain_text(node.plain())


def plain_text(value: object) -> str:
    """Return nested mappings, lists and scalars as YAML text, keys in their order."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def scalar_text(value: str) -> str:
    """Return a text as YAML in a line, quoted if it needs to be; fits in brackets and as a key."""
    listed = yaml.dump(
        [value], Dumper=_Dumper, allow_unicode=True, default_flow_style=True, width=10**9
    )
    return listed.removeprefix("[").rstrip("\n").removesuffix("]")
