"""HTML built of elements: text is escaped unless it is HTML already."""

from __future__ import annotations

from html import escape


class Html(str):
    """Text that is HTML, as only `element` and constants of our own make it."""

    __slots__ = ()


def element(tag: str, /, *content: str | None, **attributes: str) -> Html:
    """Return an element.

    Args:
        tag: name of the element.
        content: what stands in it; all but `Html` is escaped, None is nothing.
        attributes: their values are escaped; `class_` is `class`, `data_x` is `data-x`.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
    )
    if tag in ("img", "meta"):
        return Html(f"<{tag}{said}>")
    return Html(f"<{tag}{said}>{joined(*content)}</{tag}>")


def joined(*content: str | None) -> Html:
    """Return pieces one behind the other, as HTML."""
    return Html("".join(text if isinstance(text, Html) else escape(text or "") for text in content))
