"""HTTP calls of adapters, the rules that hold for every vendor: was anything sent, is it ever sent twice, how
long to wait, and what of the vendor's words may be shown.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from unicodedata import normalize

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from timeoff.errors import SettingsError

#: So many characters of a note in an error's text betray it; shorter notes count as a whole.
_TELLING: Final = 12

#: A vendor's wait counts up to a day.
LONGEST_WAIT: Final = 86_400.0


class Dropped(Exception):
    """The connection broke after it was ours. Not an aiohttp error, so that aiohttp does not repeat."""


#: All that an aiohttp call may end with instead of an answer.
TROUBLE: Final = (aiohttp.ClientError, TimeoutError, OSError, Dropped)


@dataclass(slots=True)
class Progress:
    """`sent` is True from the moment a connection is ours: from then on bytes may have left.

    Given to a request as `trace_request_ctx`, of a session with `tracing()`.
    """

    sent: bool = False


def tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(_connected)
    config.on_connection_reuseconn.append(_connected)
    return config


async def _connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


def timeout(total: float, read: float | None = None) -> aiohttp.ClientTimeout:
    """At most `total` seconds for all of it, `read` for the wait for an answer.

    The threshold is out of reach because aiohttp rounds longer times up to whole seconds.
    """
    total = max(total, 0.001)
    return aiohttp.ClientTimeout(total=total, sock_connect=total, sock_read=read, ceil_threshold=86_400)


async def never_again(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Middleware of writes. aiohttp repeats idempotent methods once on a connection that turns out to be

    dead, and PUT counts as idempotent, which a vendor's PUT need not be. An error of another family ends
    aiohttp's loop.
    """
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Dropped from error


def kind_of(error: BaseException) -> str:
    """What went wrong with a call, for its error's text."""
    kind = type(error.__cause__ if isinstance(error, Dropped) else error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return f"{kind}: the TLS certificate or handshake was refused"
    return kind


def one_line(text: str, limit: int) -> str:
    """One line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())[:limit]


def repeats(text: str, *notes: str | None) -> bool:
    """Does the text hold twelve characters in a row of a note, or all of a shorter one?

    Spaces, invisible signs and case do not count: what was sent is a cleaned note, and it may have been
    stored in yet another form. To be asked about the whole text, since a cut could fall into the note.
    """
    said = _bare(text)
    runs = {said[at : at + _TELLING] for at in range(len(said))}
    for note in map(_bare, filter(None, notes)):
        if len(note) < _TELLING:
            if note and note in said:
                return True
        elif any(note[at : at + _TELLING] in runs for at in range(len(note) - _TELLING + 1)):
            return True
    return False


def _bare(text: str) -> str:
    # Invisible signs go first, as they keep an accent from joining its letter; a joined sign may hold spaces.
    return _visible(normalize("NFKC", _visible(text)).casefold())


def _visible(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and not c.isspace())


def clean(text: str) -> str:
    """A note without control characters, which some parsers on the other side refuse."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t ").strip()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date; None if absent or unreadable.

    Both forms are legal HTTP (RFC 9110, 10.2.3). A date is taken relative to the answer's own `Date`, so
    that clocks need not agree.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_WAIT)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def trust(*, verify: bool, ca_file: Path | None) -> ssl.SSLContext | bool:
    """What a connector's `ssl` takes. Raises `SettingsError` for a file that holds no certificates."""
    if not verify:
        return False
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError([f"ca_file: cannot be used ({type(error).__name__})"]) from None
