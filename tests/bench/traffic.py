"""What the benchmarks put on the log: approvals as Genesys notifies them, one change a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from timeoff.eventlog import EventLog, Message
from timeoff.events import Observation, RequestContent, encode_observation
from timeoff.vocabulary import ObservationSource

ORG = "bench"
UNIT = "unit-1"
CODE = "vacation"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Traffic:
    """`requests` approvals, spread evenly over `employees`; the n-th of an employee asks for the n-th day."""

    employees: int
    requests: int

    @property
    def agents(self) -> list[str]:
        return [f"agent-{number:05}" for number in range(self.employees)]

    def messages(self) -> Iterator[Message]:
        at = datetime.now(UTC)
        first = date.today() + timedelta(days=30)  # noqa: DTZ011 - a date of the unit, which is in UTC
        for number in range(self.requests):
            nth, employee = divmod(number, self.employees)
            yield encode_observation(
                Observation(
                    org=ORG,
                    request_id=request_id(employee, nth),
                    agent_id=f"agent-{employee:05}",
                    source=ObservationSource.STREAM,
                    read_at=at,
                    modified_at=at,
                    management_unit_id=UNIT,
                    zone="Europe/Berlin",
                    content=RequestContent(
                        status="APPROVED",
                        activity_code_id=CODE,
                        paid=True,
                        full_day=True,
                        full_day_dates=(first + timedelta(days=nth),),
                        duration_minutes=(480,),
                        payable_minutes=(480,),
                        submitted_at=at,
                    ),
                )
            )


def request_id(employee: int, nth: int) -> str:
    return f"request-{employee:05}-{nth:05}"


def place_of(request: str) -> tuple[int, int]:
    """(employee, n-th request) from a request id."""
    _, employee, nth = request.rsplit("-", 2)
    return int(employee), int(nth)


async def publish(log: EventLog, topic: str, traffic: Traffic, done: Callable[[int], None]) -> None:
    """All of it, before the clock starts."""
    chunk: list[Message] = []
    for message in traffic.messages():
        chunk.append(message)
        if len(chunk) == _CHUNK:
            await log.append(topic, chunk)
            done(len(chunk))
            chunk = []
    if chunk:
        await log.append(topic, chunk)
        done(len(chunk))
