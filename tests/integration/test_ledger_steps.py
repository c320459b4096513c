"""Promises about steps: no write without an intent, one open intent a lane, stale holders change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.ledger import (
    Feed,
    announcement,
    booked,
    change,
    claim,
    count,
    expire,
    link,
    opened,
    spec_of,
    state_of,
    step,
    stepping,
)

from timeoff.ledger import Ledger
from timeoff.ledger.lanes import Lane
from timeoff.ledger.steps import Brake, EntryChange, Evidence, OutgoingEvent, Steps

OUTCOME_EVENT = OutgoingEvent("outcomes", "a1", "timeoff.request.applied", "r1/1", {"version": None})


async def one_lane(ledger: Ledger, requests: int = 1) -> Lane:
    await link(ledger, "a1")
    await Feed(ledger)(*(change(f"r{n}", "a1") for n in range(requests)))
    (lane,) = await claim(ledger)
    return lane


# -- the grant of an intent ---------------------------------------------------------------------------


async def test_an_intent_is_durable_before_its_write_may_be_made(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        item = announcement(lane)
        result = await steps.commit(step(lane, announce=item))
        assert result.granted
        assert (
            await count(ledger, f"intents WHERE settled_at IS NULL AND intent_id = '{item.intent_id}'") == 1
        )


@pytest.mark.parametrize(
    ("why", "statement"),
    [
        ("the request changed after the decision", "UPDATE requests SET revision = revision + 1"),
        ("another holder claimed the lane", "UPDATE lanes SET epoch = epoch + 1"),
        ("the lease ends before the call", "UPDATE lanes SET leased_until = now() + interval '9 s'"),
        ("writing was turned off", "UPDATE deployment SET write_mode = 'shadow'"),
        ("the brake was pulled", "UPDATE deployment SET brake_reason = 'too many cancels'"),
    ],
)
async def test_no_intent_is_granted_when(database_url: str, why: str, statement: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        await ledger.pool.execute(statement)
        result = await steps.commit(step(lane, announce=announcement(lane, timeout=10.0)))
        assert not result.granted, why
        assert await count(ledger, "intents") == 0


async def test_a_lane_has_one_open_intent_however_many_ask_at_once(database_url: str) -> None:
    """Two processes that both believe to hold the lane, and many groups: one write is announced."""
    async with opened(database_url) as ledger:
        lane = await one_lane(ledger, requests=20)
        async with stepping(ledger, writers=4) as one, stepping(ledger, writers=4) as two:
            results = await asyncio.gather(
                *(
                    (one, two)[n % 2].commit(
                        step(
                            lane,
                            announce=announcement(
                                lane, request_pk=case.request_pk, revision=case.revision, intent_id=uuid4()
                            ),
                        )
                    )
                    for n, case in enumerate(lane.cases)
                )
            )
        assert sum(result.granted for result in results) == 1
        assert await count(ledger, "intents") == 1


async def test_the_index_refuses_a_second_open_intent_whatever_the_code_does(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        assert (await steps.commit(step(lane, announce=announcement(lane)))).granted
        with pytest.raises(asyncpg.UniqueViolationError, match="intents_open"):
            await ledger.pool.execute(
                "INSERT INTO intents (intent_id, request_pk, lane_id, epoch, holder, kind, booking, write_no,"
                " deadline) SELECT gen_random_uuid(), request_pk, lane_id, epoch, holder, kind, booking,"
                " write_no, deadline FROM intents"
            )


async def test_an_outcome_and_the_next_intent_travel_together(database_url: str) -> None:
    """The lane waits for one commit a write: the settled intent makes room for the next at once."""
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger, requests=2)
        first = announcement(lane)
        assert (await steps.commit(step(lane, announce=first))).granted
        second = announcement(lane, request_pk=lane.cases[1].request_pk, revision=lane.cases[1].revision)
        result = await steps.commit(step(lane, booked(lane, first.intent_id), announce=second))
        assert result.moved
        assert result.granted
        open_intents = await ledger.pool.fetch("SELECT intent_id FROM intents WHERE settled_at IS NULL")
        assert [row["intent_id"] for row in open_intents] == [second.intent_id]


# -- outcomes -----------------------------------------------------------------------------------------


async def test_the_outcome_of_a_stale_holder_does_not_count_but_what_it_saw_does(database_url: str) -> None:
    async with (
        opened(database_url, "one") as one,
        opened(database_url, "two") as two,
        stepping(one) as steps,
        stepping(two) as steps_of_two,
    ):
        lane = await one_lane(one)
        item = announcement(lane)
        assert (await steps.commit(step(lane, announce=item))).granted
        await expire(one, lane)
        (taken,) = await claim(two)
        answer = Evidence("answer", {"vendor_id": "4711"}, item.intent_id, lane.cases[0].request_pk)
        outcome = replace(booked(lane, item.intent_id), event=OUTCOME_EVENT)
        late = await steps.commit(step(lane, outcome, evidence=(answer,)))
        assert not late.moved
        assert await state_of(one, "r0") == "open"
        assert await count(one, "intents WHERE settled_at IS NULL") == 1
        assert await count(one, "entries") == 0
        assert await count(one, "outbox") == 0
        assert await count(one, "evidence WHERE kind = 'answer' AND detail->>'vendor_id' = '4711'") == 1
        # The present holder's outcome does count.
        assert (await steps_of_two.commit(step(taken, booked(taken, item.intent_id)))).moved
        assert await state_of(one, "r0") == "settled"


async def test_evidence_alone_is_never_fenced(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        await ledger.pool.execute("UPDATE lanes SET epoch = epoch + 5")
        await steps.note(Evidence("look", {"proven": True}, None, lane.cases[0].request_pk))
        assert not (
            await steps.commit(step(lane, booked(lane, None), evidence=(Evidence("error", {}),)))
        ).moved
        assert await count(ledger, "evidence") == 2


async def test_a_change_that_came_during_the_write_keeps_the_request_open(database_url: str) -> None:
    """The write took place and is booked; but what is wanted moved on, so decide runs again."""
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        feed = Feed(ledger)
        await feed(change("r0", "a1"))
        (lane,) = await claim(ledger)
        item = announcement(lane)
        assert (await steps.commit(step(lane, announce=item))).granted
        await feed(change("r0", "a1", version=2))
        assert (await steps.commit(step(lane, booked(lane, item.intent_id)))).moved
        assert await state_of(ledger, "r0") == "open"
        assert await count(ledger, "requests WHERE due_at <= now()") == 1
        assert await count(ledger, "entries WHERE live AND vendor_id = '4711'") == 1
        assert await count(ledger, "intents WHERE settled_at IS NULL") == 0


async def test_the_event_of_an_outcome_is_in_the_outbox_with_it(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        assert (await steps.commit(step(lane, replace(booked(lane, None), event=OUTCOME_EVENT)))).moved
        (row,) = await ledger.outbox.outgoing(10)
        assert (row["topic"], row["key"], row["event_id"]) == ("outcomes", "a1", "r1/1")
        assert row["data"] == b'{"version": null}'


async def test_every_id_an_entry_ever_had_stays_in_its_chain(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        lane = await one_lane(ledger)
        for vendor_id in ("1", "2", "2", "3"):
            case = await ledger.lanes.case(lane.cases[0].request_pk)
            assert case is not None
            outcome = replace(
                booked(lane, None),
                revision=case.revision,
                entry=EntryChange(1, "hr", spec_of(lane), "hours", vendor_id, live=True),
            )
            assert (await steps.commit(step(lane, outcome))).moved
        (known,) = await ledger.lanes.known_records("hr", lane.employee_id)
        assert (known.vendor_id, known.chain) == ("3", ("1", "2", "3"))


@pytest.mark.parametrize("words", ["no\x00pe", "lone \ud800 surrogate"])
async def test_what_the_hris_says_can_be_stored_whatever_it_says(database_url: str, words: str) -> None:
    """Else one odd answer would fail every lane whose step was in the same group."""
    async with opened(database_url) as ledger, stepping(ledger, writers=1) as steps:
        await link(ledger, "a1", "a2")
        await Feed(ledger)(change("r1", "a1"), change("r2", "a2"))
        odd, plain = await claim(ledger)
        refused = replace(
            booked(odd, None),
            state="failed",
            entry=None,
            detail={"hris": words},
            event=replace(OUTCOME_EVENT, data={"reason": words}),
        )
        evidence = (Evidence("error", {"words": [words]}),)
        results = await asyncio.gather(
            steps.commit(step(odd, refused, evidence=evidence)),
            steps.commit(step(plain, booked(plain, None))),
        )
        assert all(result.moved for result in results)
        detail = await ledger.pool.fetchval("SELECT detail->>'hris' FROM requests WHERE state = 'failed'")
        assert detail in ("nope", "lone ? surrogate")


# -- the brake ----------------------------------------------------------------------------------------


async def test_cancels_beyond_both_numbers_pull_the_brake_before_they_are_made(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger, Brake(600.0, 3, 0.5), writers=1) as steps:
        agents = [f"a{n}" for n in range(6)]
        await link(ledger, *agents)
        await Feed(ledger)(*(change(f"r-{agent}", agent, removed=True) for agent in agents))
        lanes = await claim(ledger)
        granted = 0
        for lane in lanes:
            result = await steps.commit(
                step(lane, announce=announcement(lane, kind="cancel", spec=None, vendor_id="1"))
            )
            granted += result.granted
        assert granted == 3
        reason = (await ledger.deployment.read()).brake_reason
        assert reason is not None
        assert reason.startswith("4 cancels")
        assert await ledger.deployment.release_brake()
        case = await ledger.lanes.case(lanes[-1].cases[0].request_pk)
        assert case is not None
        assert case.look_first, "somebody may have acted by hand meanwhile"
        last = announcement(lanes[-1], kind="cancel", spec=None, vendor_id="1", revision=case.revision)
        assert (await steps.commit(step(lanes[-1], announce=last))).granted


async def test_cancels_that_are_a_small_share_of_the_writes_are_let_through(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger, Brake(600.0, 1, 0.5)) as steps:
        agents = [f"a{n}" for n in range(10)]
        await link(ledger, *agents)
        await Feed(ledger)(*(change(f"r-{agent}", agent) for agent in agents))
        lanes = await claim(ledger)
        for lane in lanes[:7]:
            assert (await steps.commit(step(lane, announce=announcement(lane)))).granted
        for lane in lanes[7:]:
            cancel = announcement(lane, kind="cancel", spec=None, vendor_id="1")
            assert (await steps.commit(step(lane, announce=cancel))).granted
        assert (await ledger.deployment.read()).brake_reason is None


# -- group commit -------------------------------------------------------------------------------------


async def test_steps_of_many_lanes_are_one_statement(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round trip for each change would be the end of the throughput."""
    async with opened(database_url) as ledger, stepping(ledger, writers=1) as steps:
        agents = [f"a{n:03}" for n in range(200)]
        await link(ledger, *agents)
        await Feed(ledger)(*(change(f"r-{agent}", agent) for agent in agents))
        lanes = await claim(ledger, limit=200)
        statements: list[str] = []
        fetch = Steps.fetch

        async def counted(self: Steps, statement: str, *arguments: Any) -> list[asyncpg.Record]:
            statements.append(statement)
            return await fetch(self, statement, *arguments)

        monkeypatch.setattr(Steps, "fetch", counted)
        results = await asyncio.gather(
            *(steps.commit(step(lane, announce=announcement(lane))) for lane in lanes)
        )
        assert all(result.granted for result in results)
        assert len(statements) == 1


async def test_a_failed_group_is_a_failure_for_everyone_in_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may believe that an intent stands which does not; the next group is not touched by it."""
    async with opened(database_url) as ledger, stepping(ledger, writers=1) as steps:
        agents = [f"a{n}" for n in range(8)]
        await link(ledger, *agents)
        await Feed(ledger)(*(change(f"r-{agent}", agent) for agent in agents))
        lanes = await claim(ledger)
        await ledger.pool.execute("ALTER TABLE intents RENAME TO hidden")
        results = await asyncio.gather(
            *(steps.commit(step(lane, announce=announcement(lane))) for lane in lanes),
            return_exceptions=True,
        )
        assert len(results) == 8
        assert all(isinstance(result, asyncpg.UndefinedTableError) for result in results)
        await ledger.pool.execute("ALTER TABLE hidden RENAME TO intents")
        again = await asyncio.gather(
            *(steps.commit(step(lane, announce=announcement(lane))) for lane in lanes)
        )
        assert all(result.granted for result in again)


@pytest.mark.parametrize("seconds", [float("inf"), 1e15])
async def test_a_step_that_the_database_refuses_fails_alone(database_url: str, seconds: float) -> None:
    """One value that cannot be kept must not cost what other lanes commit at the same moment."""
    async with opened(database_url) as ledger, stepping(ledger, writers=1) as steps:
        await link(ledger, *(f"a{n}" for n in range(5)))
        await Feed(ledger)(*(change(f"r{n}", f"a{n}") for n in range(5)))
        lanes = await claim(ledger)
        outcomes = [booked(lane, None) for lane in lanes]
        outcomes[2] = replace(outcomes[2], due_in=seconds)
        results = await asyncio.gather(
            *(steps.commit(step(lane, outcome)) for lane, outcome in zip(lanes, outcomes, strict=True)),
            return_exceptions=True,
        )
        assert isinstance(results.pop(2), asyncpg.DataError)
        assert all(not isinstance(result, BaseException) and result.moved for result in results)
        assert await count(ledger, "requests WHERE state = 'settled'") == 4
