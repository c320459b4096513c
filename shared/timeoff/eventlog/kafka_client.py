"""What producer, consumers and admin client share: start-up errors in one line, quiet logs, error classes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from timeoff.errors import Fenced, LogError, Unreachable

_log = structlog.get_logger("timeoff.eventlog")

_SELDOM: Final = 30.0


class _Heard:
    """Lines that aiokafka logged while a client started; it raises without saying the cause."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        # Tasks begun meanwhile inherit the context variable and must not collect for ever.
        self.open = True


_heard: ContextVar[_Heard | None] = ContextVar("kafka_start", default=None)


class _Seldom(logging.Handler):
    """Passes a warning of aiokafka on once in half a minute for each wording.

    The library repeats itself ten times a second while a broker is away. Its debug lines hold values of
    messages and are switched off whatever the level of the process.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        heard = _heard.get()
        if heard is not None and heard.open:
            heard.lines.append(record.getMessage())
            return
        now = time.monotonic()
        wording = f"{record.name}:{record.lineno}"
        if now - self._last.get(wording, -_SELDOM) >= _SELDOM:
            self._last[wording] = now
            # Where it would have gone without us: one place decides how lines of libraries look.
            logging.getLogger().handle(record)


def quieten() -> None:
    """Put the library's logger behind the rate limit; calling it again changes nothing."""
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(handler, _Seldom) for handler in logger.handlers):
        logger.addHandler(_Seldom())
    logger.setLevel(logging.WARNING)
    logger.propagate = False


@contextmanager
def _listening() -> Iterator[_Heard]:
    heard = _Heard()
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        heard.open = False
        _heard.reset(token)


async def start(client: Any, servers: str, timeout: float) -> None:
    """Start a producer, consumer or admin client, or raise `Unreachable` with one line that says why."""
    with _listening() as heard:
        try:
            async with asyncio.timeout(timeout):
                await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await stop_quietly(client, 2.0)
            if isinstance(error, ClusterAuthorizationFailedError):
                raise LogError(
                    f"Kafka at {servers} does not let this user write (ACL: Write on the topics)"
                ) from None
            cause = heard.lines[-1] if heard.lines else f"no answer within {timeout:g} s"
            raise Unreachable(
                f"Kafka at {servers} cannot be reached: {cause}. "
                "Check log.kafka.bootstrap_servers and the security settings beside it"
            ) from None
        except BaseException:
            await stop_quietly(client, 2.0)
            raise


async def stop_quietly(client: Any, timeout: float) -> None:
    """Stop a client within about this time, whatever state the broker is in.

    The library's own stop can wait for a broker that is away, and it ends half-way with a cancellation of
    its own making when a fetch was just waiting to be repeated; then the rest is done here.
    """
    stopping = asyncio.ensure_future(
        client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop()
    )
    await asyncio.wait({stopping}, timeout=timeout)
    if stopping.done() and not stopping.cancelled() and stopping.exception() is None:
        return
    _log.info("kafka client had to be stopped by force")
    coordinator = getattr(client, "_coordinator", None)
    leftovers = {stopping}
    for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"):
        task = getattr(coordinator, name, None)
        if task is not None:
            leftovers.add(task)
    for task in leftovers:
        task.cancel()
    await asyncio.wait(leftovers, timeout=1.0)
    wire = client.client if isinstance(client, AIOKafkaProducer) else client._client
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            await wire.close()


@asynccontextmanager
async def translated(what: str, timeout: float | None = None) -> AsyncIterator[None]:
    """Errors of the library as errors of the port; `what` completes "Kafka: … failed"."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except (CommitFailedError, IllegalStateError) as error:
        raise Fenced(f"Kafka: {what} came after the group was rebalanced") from error
    except (TimeoutError, KafkaTimeoutError, KafkaConnectionError) as error:
        raise Unreachable(f"Kafka: {what} was not answered in time ({type(error).__name__})") from None
    except (
        TopicAuthorizationFailedError,
        GroupAuthorizationFailedError,
        ClusterAuthorizationFailedError,
    ) as error:
        raise LogError(f"Kafka: {what} is not allowed to this user (ACL): {error}") from None
    except KafkaError as error:
        if error.retriable:
            raise Unreachable(f"Kafka: {what} failed for now: {type(error).__name__}") from None
        raise LogError(f"Kafka: {what} failed: {type(error).__name__}") from None
