"""The two flows that hand over: a request, and a change of one.

Who tells the HRIS is the time-off plan's `write_path`. `events`: the listener sees the request and the sync
books it, so the call checks the balance, keeps it for the request, and answers at once with an id of ours.
`flows`: the call is the order, and waits until the sync has booked it. Either way what is handed over is a
row of the ledger before anything else happens, so nothing is lost with this process, and the same call again
is the same row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from timeoff.errors import HrisError
from timeoff.handover import Handed, leave_of_request
from timeoff.hris import units
from timeoff.hris.choices import choice_of, choices_of_type
from timeoff.hris.port import Employee, HrisEntry, TimeOffType
from timeoff.hris.target import BudgetedHris
from timeoff.ledger.deployment import DeploymentStore
from timeoff.ledger.handovers import Handovers, Known, Person, Progress, Taken
from timeoff.rules import Asked, Skip, ruled
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import REMOVED_STATUSES, EntryStatus, IntegrationStatus, RequestStatus, WritePath
from timeoff_balance.claims import ClaimRules
from timeoff_balance.figures import TypeAsked
from timeoff_balance.flows.answers import NOT_OURS, SHADOW, answer_of, ended, no_answer
from timeoff_balance.flows.checking import Checked, Policy, check
from timeoff_balance.flows.orders import Minutes, read_order
from timeoff_balance.flows.reading import MAX_ID, Balances
from timeoff_balance.flows.results import Result, complete, failed, not_allowed, wrong_inputs
from timeoff_balance.flows.values import Inputs

#: Seconds a call waits for its booking; WFM gives up a little later.
ANSWER_WITHIN: Final = 45.0
#: A balance that misses what Genesys has just changed is asked for again after so long each time, seconds.
_TAKEN_IN: Final = (0.1, 0.3, 0.6, 0.0)
#: Between two looks at how far it is, from and up to.
_LOOKS: Final = (0.02, 0.25)

log = get_logger()


class Directory(Protocol):
    async def employees(self, target: str, *, current: bool = False) -> Sequence[Employee]: ...

    async def claim_rules(self, target: str) -> ClaimRules: ...


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, read: whose leave, what is asked for, who books it."""

    target: str
    employee_id: str
    handed: Handed
    path: WritePath
    person: Person
    rules: ClaimRules


class Booking:
    """Answers `Result`; raises `HrisError`, `Refusal` and whatever else goes wrong (see `running.Flows`)."""

    def __init__(
        self,
        handovers: Handovers,
        deployment: DeploymentStore,
        balances: Balances,
        directory: Directory,
        targets: Mapping[str, BudgetedHris],
        policy_of: Callable[[str, str], Policy],
        *,
        default_path: WritePath,
        notes: bool,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        """`policy_of` (target, type id) says what is allowed. `notes`: notes are copied to the HRIS."""
        self._handovers = handovers
        self._deployment = deployment
        self._balances = balances
        self._directory = directory
        self._targets = targets
        self._policy_of = policy_of
        self._default_path = default_path
        self._notes = notes
        self._answer_within = answer_within
        #: two checks of one employee's balance must not see the same minutes left
        self._one_by_one: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def insert(self, target: str, inputs: Inputs) -> Result:
        """HRIS-Insert-TimeOff. The same call again is the same booking."""
        call = await self._read(target, inputs, new=True)
        if isinstance(call, Result):
            return call
        return await self._in_turn(call, self._insert)

    async def update(self, target: str, inputs: Inputs) -> Result:
        """HRIS-Update-TimeOff. `inputTimeOffRequestId` may be any id that the request ever had."""
        id = inputs.text("inputTimeOffRequestId")
        if len(id) > MAX_ID:
            return wrong_inputs([f"Flow.inputTimeOffRequestId has {len(id):,} characters, at most {MAX_ID}"])
        call = await self._read(target, inputs, new=False)
        if isinstance(call, Result):
            return call
        return await self._in_turn(call, lambda call: self._update(call, id))

    # -- what is asked for ---------------------------------------------------------------------------

    async def _read(self, target: str, inputs: Inputs, *, new: bool) -> _Call | Result:
        """`new`: leave of somebody whom the HRIS has now. Who left may still have leave that changes."""
        employee_id, type_id = inputs.text("agentId"), inputs.text("timeOffTypeId")
        if len(employee_id) > MAX_ID:
            return wrong_inputs(
                [f"Flow.agentId has {len(employee_id):,} characters, at most {MAX_ID} can be taken"]
            )
        type_id2 = inputs.text("timeOffTypeId2") or None
        rules = await self._directory.claim_rules(target)
        person = await self._handovers.person(target, employee_id)
        choices = choices_of_type(rules.choices, person.management_unit_id, type_id, type_id2)
        paths = {choice.write_path for choice in choices} or {self._default_path}
        minutes: set[Minutes] = {choice.minutes for choice in choices} or {"payable"}
        handed = read_order(
            inputs,
            minutes=minutes.pop() if len(minutes) == 1 else "payable",
            zone=person.zone,
            # Where the listener's side books, the note comes with what Genesys shows.
            notes=self._notes and paths != {WritePath.EVENTS},
        )
        if isinstance(handed, list):
            return wrong_inputs(handed)
        if type_id not in rules.types and not handed.removed:
            return failed(404, f"{type_id} is not a type of the HRIS")
        if len(paths) > 1:
            return not_allowed(
                f"time-off plans with different write paths link type {type_id}, and it is not known of which"
                " management unit the employee is"
            )
        if new and not await self._employs(target, employee_id):
            return _no_employee(employee_id)
        if paths == {WritePath.FLOWS} and not await self._writes(person):
            # Refused for now: what is refused must not be booked later by itself.
            return not_allowed(SHADOW)
        return _Call(target, employee_id, handed, paths.pop(), person, rules)

    async def _writes(self, person: Person) -> bool:
        deployment = await self._deployment.read()
        return deployment.writes_for(person.management_unit_id, person.agent_id or "")

    async def _employs(self, target: str, employee_id: str) -> bool:
        """Unless the HRIS cannot say."""
        try:
            return any(each.id == employee_id for each in await self._directory.employees(target))
        except HrisError:
            return True

    async def _in_turn(self, call: _Call, hand_over: Callable[[_Call], Awaitable[Taken | Result]]) -> Result:
        key = (call.target, call.employee_id)
        lock = self._one_by_one.setdefault(key, asyncio.Lock())
        async with lock:
            taken = await hand_over(call)
        if isinstance(taken, Result):
            return taken
        if call.path is WritePath.EVENTS:
            await self._handovers.answered(taken.handover_id, IntegrationStatus.AUTOMATICALLY_COMPLETE)
            return complete({"timeOffRequestId": taken.handover_id})
        return await self._booked(call, taken)

    # -- insert --------------------------------------------------------------------------------------

    async def _insert(self, call: _Call) -> Taken | Result:
        first, last = call.handed.span
        async with self._handovers.turn(call.target, call.employee_id) as turn:
            known = _same(await turn.near(first, last), call)
            if known is not None and known.handover_id is not None:
                call = _fuller(call, known)
                return await turn.hand(known, call.handed, call.path, **self._how(call, known))
        if (refusal := _not_ours(call)) is not None:
            return refusal
        checked = await self._checked(call, [known.request_id] if known else [])
        if checked.refusal is not None:
            await self._handovers.note(self._decided(call, checked, "insert"))
            return checked.refusal
        decision = self._decided(call, checked, "insert")
        async with self._handovers.turn(call.target, call.employee_id) as turn:
            near = await turn.near(first, last)
            known = _same(near, call)
            if known is not None:
                call = _fuller(call, known)
                how = self._how(call, known)
                return await turn.hand(known, call.handed, call.path, decision=decision, **how)
            return await turn.add(
                call.handed,
                call.path,
                call.person,
                answer_within=self._answer_within,
                # Leave of before who books it changed must not be booked once more.
                look_first=any(each.live_ids and each.write_path is not call.path for each in near),
                decision=decision,
            )

    def _how(self, call: _Call, known: Known) -> dict[str, Any]:
        """What has to be looked at again: all that changes something, and what had come to nothing."""
        news = (
            known.handover_id is None
            or known.handed is None
            or known.handed.status != call.handed.status
            or known.handed.leave != call.handed.leave
            or known.write_path is not call.path
            or known.state in ("held", "failed", "planned")
        )
        due = news and (call.path is WritePath.FLOWS or known.handover_id in (None, known.request_id))
        return {"answer_within": self._answer_within, "due": due}

    # -- update --------------------------------------------------------------------------------------

    async def _update(self, call: _Call, id: str) -> Taken | Result:
        async with self._handovers.turn(call.target, call.employee_id) as turn:
            known = await turn.named(id)
        if known is not None and known.employee_id != call.employee_id:
            return not_allowed(f"{id[:80]} is not of employee {call.employee_id[:80]}")
        held: Mapping[date, Decimal] = {}
        if known is None:
            if not await self._employs(call.target, call.employee_id):
                return _no_employee(call.employee_id)
            found = await self._at_the_hris(call, id)
            if call.path is WritePath.EVENTS and (refusal := _unknown(call, id, found)) is not None:
                return refusal
            held = _held(call, found)
        checked = await self._checked(call, [id, *([known.request_id] if known else [])], held)
        decision = self._decided(call, checked, "update") | {"id": id[:80]}
        if checked.refusal is not None:
            await self._handovers.note(decision, known.request_pk if known else None)
            return checked.refusal
        async with self._handovers.turn(call.target, call.employee_id) as turn:
            known = await turn.named(id)
            if known is not None and known.employee_id != call.employee_id:
                return not_allowed(f"{id[:80]} is not of employee {call.employee_id[:80]}")
            if known is None:
                return await turn.add(
                    replace(call.handed, adopt=id),
                    call.path,
                    call.person,
                    answer_within=self._answer_within,
                    decision=decision,
                )
            how = self._how(call, known)
            return await turn.hand(known, call.handed, call.path, decision=decision, **how)

    async def _at_the_hris(self, call: _Call, id: str) -> HrisEntry | None:
        """The record that a call names and the ledger does not know."""
        first, last = call.handed.span
        target = self._targets[call.target]
        found = await target.ask("get", lambda: target.hris.get(id, call.employee_id, first, last))
        return found if found is not None and found.employee_id == call.employee_id else None

    # -- balance -------------------------------------------------------------------------------------

    async def _checked(
        self, call: _Call, replaces: Collection[str], held: Mapping[date, Decimal] | None = None
    ) -> Checked:
        """Only what is pending is checked: who approves has decided, whatever is left. `held`: minutes that
        the record which is about to be changed takes, where the ledger does not know it.
        """
        handed = call.handed
        if handed.status != RequestStatus.PENDING:
            return Checked(None, {"check": "none", "status": handed.status, "type_id": handed.type_id})
        type_ = self._type(call)
        dates = [day.date for day in handed.days if day.minutes]
        if not dates:
            return Checked(None, {"check": "none", "status": handed.status, "type_id": handed.type_id})
        for pause in _TAKEN_IN:
            answer = await self._balances.answer(
                call.employee_id,
                dates,
                [TypeAsked(handed.type_id, handed.type_id2)],
                target=call.target,
                replaces=tuple(replaces),
            )
            if answer.complete:
                break
            await asyncio.sleep(pause)  # something of this employee is on its way into the ledger
        policy = self._policy_of(call.target, handed.type_id)
        checked = check(handed, type_, answer.figures, policy, held or {})
        return (
            checked if answer.complete else replace(checked, decision=checked.decision | {"complete": False})
        )

    @staticmethod
    def _type(call: _Call) -> TimeOffType:
        return call.rules.types[call.handed.type_id]

    @staticmethod
    def _decided(call: _Call, checked: Checked, flow: str) -> dict[str, Any]:
        who = {"flow": flow, "target": call.target, "employee_id": call.employee_id[:80]}
        log.info("handover.checked", path=call.path.value, **who, **_plain(checked.decision))
        return {**who, "path": call.path.value, **checked.decision}

    # -- the answer ----------------------------------------------------------------------------------

    async def _booked(self, call: _Call, taken: Taken) -> Result:
        """Wait until it is in the HRIS, or until it is known why not."""
        ends = time.monotonic() + self._answer_within
        pause, longest = _LOOKS
        while True:
            progress = await self._handovers.progress(taken.handover_id)
            if progress is not None and ended(progress):
                return await self._answered(call, progress)
            if time.monotonic() >= ends:
                await self._handovers.answered(taken.handover_id, IntegrationStatus.ERROR)
                return no_answer(self._answer_within, progress.reason if progress else None)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, longest)

    async def _answered(self, call: _Call, progress: Progress) -> Result:
        done = progress.state in ("settled", "waiting")
        shown = IntegrationStatus.AUTOMATICALLY_COMPLETE if done else IntegrationStatus.ERROR
        await self._handovers.answered(progress.handover_id, shown)
        return answer_of(progress, removed=call.handed.removed)


def _no_employee(employee_id: str) -> Result:
    return failed(404, f"the HRIS knows no employee {employee_id[:80]}")


def _unknown(call: _Call, id: str, found: HrisEntry | None) -> Result | None:
    """The listener's side books the change; is there anything that it can be a change of?"""
    if found is None:
        return not_allowed(f"{id[:80]} is not known, and the HRIS has no such record of this employee")
    if not found.live and found.status is not EntryStatus.SUPERSEDED and not call.handed.removed:
        return not_allowed(f"{id[:80]} is {found.status.value} in the HRIS")
    return None


def _held(call: _Call, found: HrisEntry | None) -> dict[date, Decimal]:
    """What a record takes of the balance, in minutes by date, as far as the HRIS counts it."""
    if found is None or not found.live or found.type_id != call.handed.type_id:
        return {}
    if found.status is EntryStatus.REQUESTED and not call.rules.counts_requested:
        return {}
    type_ = call.rules.types[found.type_id]
    return {on: units.exact_minutes(amount, found.unit, type_, on) for on, amount in found.amounts.items()}


def _not_ours(call: _Call) -> Result | None:
    """What would never be booked is not accepted."""
    handed = call.handed
    if handed.removed:
        return None
    if handed.span[1] < call.rules.cutover:
        return not_allowed(NOT_OURS["before_cutover"])
    asked = Asked(
        request_id="",
        agent_id=call.person.agent_id or "",
        employee_id=call.employee_id,
        management_unit_id=call.person.management_unit_id,
        status=handed.status,
        activity_code_id=None,
        paid=None,
        type_id=handed.type_id,
        type_id2=handed.type_id2,
        days=tuple(day for day in handed.days if day.minutes),
    )
    return (
        not_allowed(NOT_OURS["skipped_by_rule"]) if isinstance(ruled(call.rules.rule, asked), Skip) else None
    )


def _same(near: Sequence[Known], call: _Call) -> Known | None:
    """The request that this call is about, if it is there already; one that was handed over comes first. None
    where Genesys shows several that it may be.
    """
    found = [known for known in near if _asks_for(known, call.rules, call.handed)]
    handed_over = next((known for known in found if known.handover_id is not None), None)
    return handed_over or (found[0] if len(found) == 1 else None)


def _fuller(call: _Call, known: Known) -> _Call:
    """What was told once and is left out in a repeat stays: second id and start times."""
    before, handed = known.handed, call.handed
    if before is None or not before.leave.same(handed.leave):
        return call
    timed = any(day.start is not None for day in handed.days)
    return replace(
        call,
        handed=replace(
            handed,
            # A repeat of the first call that comes late does not take an approval back.
            status=before.status if _approved_since(before, handed) else handed.status,
            type_id2=handed.type_id2 or before.type_id2,
            days=handed.days if timed else before.days,
        ),
    )


def _approved_since(before: Handed, handed: Handed) -> bool:
    return before.status == RequestStatus.APPROVED and handed.status == RequestStatus.PENDING


def _asks_for(known: Known, rules: ClaimRules, handed: Handed) -> bool:
    if known.adopt and not known.entries:
        return False  # a change of a record that is not there
    before = known.handed
    # Only the same wish: an insert that is denied already takes nothing from anybody.
    if before is not None and before.removed == handed.removed and before.leave.same(handed.leave):
        return True
    if handed.removed or (before is not None and (before.removed or known.handover_id == known.request_id)):
        return False
    # As Genesys shows it: not handed over yet, or changed since and Genesys never got an id to name.
    content = known.content
    if content is None or known.missing or content.status in REMOVED_STATUSES:
        return False
    choice = choice_of(rules.choices, known.management_unit_id, content.activity_code_id)
    leave = leave_of_request(content, known.zone, choice)
    return leave is not None and leave.same(handed.leave)


def _plain(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in decision.items()}


__all__ = ["ANSWER_WITHIN", "Booking"]
