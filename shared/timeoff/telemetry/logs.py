"""Structured logs: one JSON line per event on stderr, `action` and ids, never prose, notes or secrets.

    {"timestamp": "…Z", "level": "info", "service": "sync", "action": "entry.inserted", "request_id": "…"}

An exception is logged with `exc_info=error`: its class and the places it came through. Its text is shown
only for errors of this product and of the operating system; others may quote the data they failed on.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from timeoff.errors import TimeoffError
from timeoff.settings.model import LoggingSettings

#: Keys that never reach a log line, whatever was passed under them. Compared without case and `_`.
FORBIDDEN_KEYS: Final = frozenset({"notes", "note", "authorization", "connecturi"})
_FORBIDDEN_ENDINGS: Final = ("token", "secret", "password", "apikey")
_FRAMES_SHOWN: Final = 8


def get_logger(**ids: Any) -> FilteringBoundLogger:
    """A logger whose lines carry `ids`: `get_logger(part="relay").info("relay.sent", events=12)`."""
    return cast(FilteringBoundLogger, structlog.get_logger(**ids))


def configure(settings: LoggingSettings, service: str) -> None:
    """Set up structlog and send the standard library's loggers (warnings and worse) the same way."""

    def named(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
        explain_exception,
        drop_forbidden,
    ]
    if settings.format == "json":
        processors += [
            structlog.processors.EventRenamer("action"),
            _ordered,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    else:
        # Without local variables: they may hold notes or tokens.
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        )
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.WriteLoggerFactory(cast(Any, _CurrentStderr())),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Routed):
            root.removeHandler(handler)
    root.addHandler(_Routed())
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def describe_error(error: BaseException) -> dict[str, Any]:
    """What may be shown of an error: `error` (its class), `reason` where it is safe, `where`."""
    shown: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, TimeoffError | OSError):
        shown["reason"] = str(error)
    if places := _places(error.__traceback__):
        shown["where"] = places
    cause = error.__cause__
    if cause is not None and cause is not error:
        shown["cause"] = describe_error(cause)
    return shown


def explain_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by what may be shown of it."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        for key, value in describe_error(error).items():
            event.setdefault(key, value)
    return event


def drop_forbidden(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last guard against notes and secrets: keys that name them are left out, at any depth."""
    return {key: _cleaned(value) for key, value in event.items() if not _is_forbidden(key)}


@functools.lru_cache(maxsize=4096)
def _is_forbidden(key: object) -> bool:
    name = str(key).lower().replace("_", "").replace("-", "")
    return name in FORBIDDEN_KEYS or name.endswith(_FORBIDDEN_ENDINGS)


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items() if not _is_forbidden(key)}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def _ordered(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The four keys that every line has come first."""
    first = ("timestamp", "level", "service", "action")
    return {key: event.pop(key) for key in first if key in event} | dict(event)


def _places(traceback: TracebackType | None) -> list[str]:
    codes = [(frame.f_code, line) for frame, line in walk_tb(traceback)]
    return [f"{Path(code.co_filename).name}:{line}:{code.co_name}" for code, line in codes[-_FRAMES_SHOWN:]]


class _Routed(logging.Handler):
    """Log records of libraries as events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        # asyncio puts the repr of futures, and with it texts of exceptions, into its messages
        message = str(record.msg) if record.name == "asyncio" else record.getMessage()
        get_logger().log(
            record.levelno,
            "library.message",
            logger=record.name,
            message=message.partition("\n")[0][:500],
            exc_info=record.exc_info,
        )


class _CurrentStderr:
    """stderr as it is when a line is written; loggers are cached and may outlive a redirection."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


__all__ = ["FORBIDDEN_KEYS", "configure", "describe_error", "get_logger"]
