"""The company behind the API: what a write does, what a read sees. No HTTP here.

Rules that BambooHR documents are kept as documented (BambooHR API reference: "Create a Time Off Request",
"List Time Off Requests", "Change a Request Status", "Estimate Future Time Off Balances"). Where nothing is
documented the choice is a switch in `options` or is named as ours in the docstring of the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal

from timeoff_sandbox.bamboohr.options import Options
from timeoff_sandbox.bamboohr.records import (
    SUPERCEDED,
    Booking,
    Clock,
    Draft,
    Person,
    Refusal,
    Request,
    State,
    TimeOffType,
)

#: The types of a fresh company: hours and days, and each kind of policy.
DEFAULT_TYPES = (
    TimeOffType(83, "Vacation", "hours", "accruing", opening=Decimal(40), monthly=Decimal("16.25")),
    TimeOffType(84, "Day off", "days", "manual", opening=Decimal(10)),
    TimeOffType(85, "Sick leave", "hours", "discretionary", icon="thermometer"),
)
#: User id of whoever works in the HRIS by hand.
HAND = 99


class Company:
    """People, types and requests of one company."""

    def __init__(self, clock: Clock, options: Callable[[], Options], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._options = options
        self._monotonic = monotonic
        self.people: dict[int, Person] = {}
        self.types: dict[int, TimeOffType] = {}
        self.requests: dict[int, Request] = {}
        self._of_person: dict[int, list[Request]] = {}
        self._bookings: list[Booking] = []
        self._recorded: set[int] = set()
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        self.people.clear()
        self.requests.clear()
        self._of_person.clear()
        self._bookings.clear()
        self._recorded.clear()
        self._last_id = 0
        self.types = {type_.id: type_ for type_ in DEFAULT_TYPES}

    def today(self) -> date:
        return self._clock.today(self._options().time_zone)

    def person(self, employee_id: int) -> Person:
        person = self.people.get(employee_id)
        if person is None:
            raise Refusal(404, "Employee not found")
        return person

    def add_person(self, person: Person) -> None:
        self.people[person.id] = person

    # -- writes ------------------------------------------------------------------------------------

    def create(self, draft: Draft, by: Literal["api", "hand"], user: int) -> Request:
        """Book a request, or replace `previous` by it; one step, so never a half of it.

        Raises `Refusal`: 404 unknown employee, 400 unknown type or a predecessor that may not be replaced
        (another employee's, not live, or begun; that the last two are 400 is our choice), 409 for an
        overlap and 400 for a short balance where the options refuse these.
        """
        self.person(draft.employee_id)
        if draft.type_id not in self.types:
            raise Refusal(400, "Invalid time off type")
        previous = None if draft.previous is None else self._replaceable(draft)
        if by == "api":
            self._refuse_by_option(draft, previous)
        now = self._clock.now()
        self._last_id = max(self._last_id + 1, self._options().first_request_id)
        request = Request(
            id=self._last_id,
            employee_id=draft.employee_id,
            type_id=draft.type_id,
            notes=dict(draft.notes),
            created_at=now,
            created_on=self.today(),
            by=by,
            supersedes=previous.id if previous else None,
        )
        self._write(
            request, State(draft.status, draft.start, draft.end, dict(sorted(draft.dates.items())), now, user)
        )
        if previous:
            previous.superseded_by = request.id
            self._write(previous, replace(previous.now, status=SUPERCEDED, at=now, by_user=user))
        self.requests[request.id] = request
        self._of_person.setdefault(request.employee_id, []).append(request)
        return request

    def change_status(self, request_id: int, wanted: str, user: int, comment: str | None) -> Request:
        """Approve, deny or cancel through the API.

        A cancel is for requested ones and for approved ones before their first day, an approval or a denial
        for requested ones only; all else is 403 (the published table of transitions is silent; these are
        the rules of the newer request family).
        """
        request = self.requests.get(request_id)
        if request is None:
            raise Refusal(404, "Request not found")
        state = request.now
        if wanted == "canceled":
            if state.status == "canceled":
                if self._options().cancel_again == 200:
                    return request
                raise Refusal(403, "The request is already canceled")
            if not state.live:
                raise Refusal(403, f"A request that is {state.status} cannot be canceled")
            if state.status == "approved" and state.start <= self.today():
                raise Refusal(403, "A request that has begun cannot be canceled")
        elif state.status != "requested":
            raise Refusal(403, f"A request that is {state.status} cannot be {wanted}")
        if comment:
            request.comments.append(comment)
        self._write(request, replace(state, status=wanted, at=self._clock.now(), by_user=user))
        return request

    def edit_by_hand(
        self, request_id: int, status: str | None, dates: Mapping[date, Decimal] | None
    ) -> Request:
        """A person changes a request in the HRIS itself: in place, without the rules of the API."""
        request = self.requests.get(request_id)
        if request is None:
            raise Refusal(404, "Request not found")
        state = request.now
        if dates:
            state = replace(state, dates=dict(sorted(dates.items())), start=min(dates), end=max(dates))
        if status:
            state = replace(state, status=status)
        self._write(request, replace(state, at=self._clock.now(), by_user=HAND))
        return request

    def record_usage(self, employee_id: int, request_id: int) -> None:
        """Put an approved request into the history, once (409 after that)."""
        self.person(employee_id)
        request = self.requests.get(request_id)
        if request is None or request.employee_id != employee_id:
            raise Refusal(404, "Request not found")
        if request.now.status != "approved":
            raise Refusal(400, "The request is not approved")
        if request_id in self._recorded:
            raise Refusal(409, "The request has a history item already")
        self._recorded.add(request_id)

    def book(self, booking: Booking) -> None:
        """An override of history or an adjustment of a balance; the latter not for unlimited types."""
        self.person(booking.employee_id)
        type_ = self.types.get(booking.type_id)
        if type_ is None:
            raise Refusal(400, "Invalid time off type")
        if booking.kind == "adjustment" and type_.policy_type == "discretionary":
            raise Refusal(400, "The type has no balance to adjust")
        self._bookings.append(booking)

    def _replaceable(self, draft: Draft) -> Request:
        previous = self.requests.get(draft.previous or 0)
        if (
            previous is None
            or previous.employee_id != draft.employee_id
            or not previous.now.live
            or previous.now.start <= self.today()
        ):
            raise Refusal(400, "Invalid previous request")
        return previous

    def _refuse_by_option(self, draft: Draft, previous: Request | None) -> None:
        options = self._options()
        if options.reject_overlap and draft.status in ("requested", "approved"):
            others = self.overlapping(draft.employee_id, draft.start, draft.end)
            if any(other is not previous and other.now.live for other in others):
                raise Refusal(409, "The request overlaps with another request")
        if options.reject_insufficient and self.types[draft.type_id].policy_type != "discretionary":
            given_back = Decimal(0)
            if previous and previous.type_id == draft.type_id and previous.now.status == "approved":
                given_back = previous.now.amount
            left = self.balance(draft.employee_id, draft.type_id, draft.end) + given_back
            if left < sum(draft.dates.values(), Decimal(0)):
                raise Refusal(400, "Insufficient balance")

    def _write(self, request: Request, state: State) -> None:
        request.states.append(state)
        request.written.append(self._monotonic())

    # -- reads -------------------------------------------------------------------------------------

    def overlapping(self, employee_id: int, start: date, end: date) -> Iterator[Request]:
        """All requests of the person whose range touches the range, whatever their status."""
        for request in self._of_person.get(employee_id, ()):
            if request.now.end >= start and request.now.start <= end:
                yield request

    def listed(
        self, start: date, end: date, employee_id: int | None, request_id: int | None
    ) -> Iterator[tuple[Request, State]]:
        """What the list shows: overlap, inclusive, each request as it was one read lag ago."""
        moment = self._monotonic() - self._options().read_lag_ms / 1000
        candidates: Iterable[Request]
        if request_id is not None:
            candidates = filter(None, [self.requests.get(request_id)])
        elif employee_id is not None:
            candidates = self._of_person.get(employee_id, ())
        else:
            candidates = self.requests.values()
        for request in candidates:
            if employee_id is not None and request.employee_id != employee_id:
                continue
            state = request.as_of(moment)
            if state and state.end >= start and state.start <= end:
                yield request, state

    def used(self, employee_id: int, type_id: int, first: date | None, last: date) -> Decimal:
        """Approved amounts dated from `first` (None: ever) to `last`, scheduled ones by option."""
        horizon = last if self._options().scheduled_counts else min(last, self.today())
        return sum(
            (
                amount
                for request in self._of_person.get(employee_id, ())
                if request.type_id == type_id and request.now.status == "approved"
                for on, amount in request.now.dates.items()
                if (first is None or on >= first) and on <= horizon
            ),
            Decimal(0),
        )

    def balance(self, employee_id: int, type_id: int, end: date) -> Decimal:
        """Opening, plus accruals and bookings, minus approved time, all up to `end`; may be negative.

        Accruing types gain their monthly amount on the first of each month after the employee's first
        January here (the company's current year), which is our simple model of a policy.
        """
        type_ = self.types[type_id]
        months = max(0, (end.year - self.today().year) * 12 + end.month - 1)
        booked = sum(
            (
                booking.amount
                for booking in self._bookings
                if booking.employee_id == employee_id and booking.type_id == type_id and booking.on <= end
            ),
            Decimal(0),
        )
        return type_.opening + type_.monthly * months + booked - self.used(employee_id, type_id, None, end)
