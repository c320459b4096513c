"""What is posted when: a balance account in memory, no clock and no I/O.

An `Account` is one employee's balance of one leave type over all its periods. It is loaded with the sums of
what the journal holds, told what happened, and has then collected the postings to add. Nothing is ever
changed: what is undone gets a posting of the opposite amount.

    open         a period that is needed while nothing is given for it; at most one a period
    grant        what the policy's item gives for a period, which it opens too; at most one a period
    carry_over   unused days of the period before; at most one a period
    set          the difference to the total that update-balance asks for
    take         a request; pending until it is approved
    return       takes back a take, where it was taken

Amounts are days as exact decimals with ten places, positive when they add to the balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Final, Literal

from timeoff_leave.periods import Period, PeriodRule

Kind = Literal["open", "grant", "carry_over", "set", "take", "return"]

ZERO: Final = Decimal(0)
_PLACES: Final = Decimal(1).scaleb(-10)


def exact_days(amount: Decimal | Fraction) -> Decimal:
    """Days as the journal keeps them: ten places, half up."""
    if isinstance(amount, Fraction):
        amount = Decimal(amount.numerator) / Decimal(amount.denominator)
    return amount.quantize(_PLACES, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a policy's item gives for one period, in days; without a `limit` all unused days carry over.

    `since` is the date from which on it gives something to this employee: that of the assignment, of the
    item's link to the policy, or of a return, whichever is last.
    """

    since: date
    days: Decimal
    carry_over: bool = False
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """One line to add to the journal."""

    employee: int
    leave_type: int
    policy: int
    period: Period
    kind: Kind
    days: Decimal
    pending: bool = False
    leave_request: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What the journal holds for one period: days left, and days that pending requests would take."""

    days: Decimal = ZERO
    pending: Decimal = ZERO
    granted: bool = False
    carried: bool = False
    was_set: bool = False

    @property
    def including_pending(self) -> Decimal:
        return self.days - self.pending


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request holds at present in one period: positive days, out of the balance of `leave_type`."""

    leave_type: int
    policy: int
    period: Period
    pending: bool
    days: Decimal


@dataclass(slots=True)
class Account:
    """One employee's balance of one leave type.

    `policy` and `rule` are those by which new periods are made; `entitlement` is None where the employee's
    policy does not have the type (any more): a period that is needed all the same is opened with nothing, and
    granted at the first need with an entitlement. `today` is the date in the employee's zone.
    """

    employee: int
    leave_type: int
    policy: int
    rule: PeriodRule
    entitlement: Entitlement | None
    today: date
    periods: dict[Period, Sums] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)

    def period_of(self, on: date) -> Period:
        return self.rule.period_of(on, self.periods)

    def need(self, on: date) -> Period:
        """The period that holds a date, opened if this is the first need of it.

        Opening grants the entitlement once. Unused days carry over at the first need after the period has
        begun: before that nobody knows what will be left. For that, periods since it is given that nobody
        needed are opened too, oldest first, so that a balance does not depend on who looked at it when.
        """
        period = self.period_of(on)
        if self._owes_carry_over(period):
            for earlier in self._given_before(period):
                self._grant(earlier)
                self._carry_over(earlier)
        self._grant(period)
        self._carry_over(period)
        return period

    def set_total(self, period: Period, total: Decimal, description: str | None = None) -> None:
        """The balance of an open period becomes `total`, whatever is pending."""
        self._post("set", period, exact_days(total) - self.periods[period].days, description=description)

    def take(
        self, days: Mapping[date, Fraction], *, request: int, policy: int, pending: bool
    ) -> frozenset[Period]:
        """Take a request's days out of the periods that hold them; returns those periods."""
        amounts: dict[Period, Fraction] = {}
        for on in sorted(days):
            period = self.need(on)
            amounts[period] = amounts.get(period, Fraction(0)) + days[on]
        for period, amount in amounts.items():
            self._take(period, exact_days(amount), request, policy, pending)
        return frozenset(amounts)

    def give_back(self, taken: Iterable[Taken], request: int) -> None:
        """Undo what a request holds of this account, where it was taken."""
        for share in self._own(taken):
            self._post(
                "return",
                share.period,
                share.days,
                pending=share.pending,
                request=request,
                policy=share.policy,
            )

    def confirm(self, taken: Iterable[Taken], request: int) -> frozenset[Period]:
        """A pending request is approved: what it holds is taken in earnest, from the same periods."""
        shares = [share for share in self._own(taken) if share.pending]
        self.give_back(shares, request)
        for share in shares:
            self._take(share.period, share.days, request, share.policy, pending=False)
        return frozenset(share.period for share in shares)

    @property
    def overdrawn(self) -> bool:
        """Whether what was posted takes a balance below 0 that was higher before; pending does not count."""
        moved: dict[Period, Decimal] = {}
        for posting in self.postings:
            if posting.kind in ("take", "return") and not posting.pending:
                moved[posting.period] = moved.get(posting.period, ZERO) + posting.days
        return any(days < 0 and self.periods[period].days < 0 for period, days in moved.items())

    def _own(self, taken: Iterable[Taken]) -> list[Taken]:
        return [share for share in taken if share.leave_type == self.leave_type and share.days]

    def _take(self, period: Period, days: Decimal, request: int, policy: int, pending: bool) -> None:
        if days:
            self._post("take", period, -days, pending=pending, request=request, policy=policy)

    def _given_before(self, period: Period) -> Iterator[Period]:
        assert self.entitlement is not None
        on = self.entitlement.since
        while on < period.start:
            earlier = self.period_of(on)
            yield earlier
            on = earlier.end

    def _grant(self, period: Period) -> None:
        sums = self.periods.get(period)
        if self.entitlement is None:
            if sums is None:
                self._post("open", period, ZERO)
        elif sums is None or not sums.granted:
            self._post("grant", period, exact_days(self.entitlement.days))

    def _owes_carry_over(self, period: Period) -> bool:
        sums = self.periods.get(period)
        return (
            self.entitlement is not None
            and self.entitlement.carry_over
            and period.start <= self.today
            and not (sums and sums.carried)
        )

    def _carry_over(self, period: Period) -> None:
        """Posted even when nothing is left: the question is answered then, whatever comes back later."""
        if self._owes_carry_over(period):
            self._post("carry_over", period, self._unused_before(period))

    def _unused_before(self, period: Period) -> Decimal:
        """Days of the period before that carry over; none into a total that somebody has set already.

        Pending requests count as taken, or a day could be used twice; an overdraft is not carried.
        """
        assert self.entitlement is not None
        if self.periods[period].was_set:
            return ZERO
        left = sum(
            (sums.including_pending for other, sums in self.periods.items() if other.end == period.start),
            ZERO,
        )
        limit = self.entitlement.limit
        return exact_days(max(ZERO, left if limit is None else min(left, limit)))

    def _post(
        self,
        kind: Kind,
        period: Period,
        days: Decimal,
        *,
        pending: bool = False,
        request: int | None = None,
        policy: int | None = None,
        description: str | None = None,
    ) -> None:
        before = self.periods.get(period, Sums())
        self.periods[period] = Sums(
            days=before.days if pending else before.days + days,
            pending=before.pending - days if pending else before.pending,
            granted=before.granted or kind == "grant",
            carried=before.carried or kind == "carry_over",
            was_set=before.was_set or kind == "set",
        )
        self.postings.append(
            Posting(
                self.employee,
                self.leave_type,
                self.policy if policy is None else policy,
                period,
                kind,
                days,
                pending,
                request,
                description,
            )
        )
