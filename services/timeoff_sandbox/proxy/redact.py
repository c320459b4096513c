"""What of a query or a body may stand in the record."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

#: Longer bodies are not kept.
LONGEST: Final = 256 * 1024
LEFT_OUT: Final = "***"
_SECRET: Final = re.compile(
    r"pass(word|wd|phrase)|secret|token|api[-_]?key|authori[sz]ation|credential|cookie|signature|assertion"
    r"|^(pwd|key|auth|sig|code|sid|session(_?id)?)$",
    re.IGNORECASE,
)


def query(text: str, names: Collection[str]) -> str:
    """The query as it was, without the values of fields that are secret or named."""
    hidden = {name.casefold() for name in names}

    def shown(part: str) -> str:
        name, equals, _ = part.partition("=")
        return f"{name}={LEFT_OUT}" if equals and _hidden(unquote_plus(name), hidden) else part

    return "&".join(shown(part) for part in text.split("&"))


def body(data: bytes, content_type: str, encoding: str, names: Collection[str]) -> Any:
    """JSON as a value, a form as pairs, both without what is secret or named; else why there is nothing.

    What is neither is not kept: nobody can tell what stands in it.
    """
    if not data:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    is_form = kind == "application/x-www-form-urlencoded"
    if not is_form and kind != "application/json" and not kind.endswith("+json"):
        return f"not kept: {kind or 'no content type'}"
    try:
        plain = _decoded(data, encoding.strip().lower())
        if len(plain) > LONGEST:
            return "not kept: too long"
        hidden = {name.casefold() for name in names}
        if is_form:
            pairs = parse_qsl(plain.decode(), keep_blank_values=True)
            return [[name, LEFT_OUT if _hidden(name, hidden) else value] for name, value in pairs]
        return _without(json.loads(plain), hidden)
    except (ValueError, RecursionError, zlib.error):
        return "not kept: unreadable"


def _decoded(data: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "deflate"):
        raise ValueError(encoding)
    # 47: gzip or zlib, told by the header.
    return zlib.decompressobj(47).decompress(data, LONGEST + 1)


def _without(value: Any, hidden: Collection[str]) -> Any:
    match value:
        case dict():
            return {k: LEFT_OUT if _hidden(k, hidden) else _without(v, hidden) for k, v in value.items()}
        case list():
            return [_without(member, hidden) for member in value]
        case _:
            return value


def _hidden(name: str, hidden: Collection[str]) -> bool:
    return name.casefold() in hidden or _SECRET.search(name) is not None
