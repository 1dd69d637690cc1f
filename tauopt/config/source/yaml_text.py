"""Writing of YAML that reads back the same, here and in YAML 1.1 readers."""

from __future__ import annotations

import re

import yaml

from tauopt.config.source.yaml_source import Node


class _Dumper(yaml.SafeDumper):
    """Quotes text that is a number in YAML 1.2, besides what PyYAML quotes for YAML 1.1."""

    def ignore_aliases(self, data: object) -> bool:
        """Write a repeated value in full each time, without anchors."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote Unicode's line breaks, which PyYAML otherwise writes unquoted and loses on reading."""
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
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
    """Return text as a YAML scalar in one line, quoted if needed in brackets or as a key."""
    # In a list, since PyYAML quotes less outside of brackets.
    in_brackets = yaml.dump(
        [value], Dumper=_Dumper, allow_unicode=True, default_flow_style=True, width=10**9
    )
    return in_brackets.removeprefix("[").rstrip("\n").removesuffix("]")
