"""What a settled doubt leaves behind: told only when all is done, and looked at again for a twin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.cases import TUESDAY, case, content, days, entry, intent, rules, spec, view

from timeoff.hris.port import CancelMode, ExternalKey, UpdateMode
from timeoff.ledger.rows import Case, Intent
from timeoff.ledger.steps import Outcome
from timeoff.vocabulary import EntryStatus
from timeoff_sync.decisions import Rules
from timeoff_sync.doubts import Doubts
from timeoff_sync.outcomes import Names, Outcomes
from timeoff_sync.settle import Ended, Patience, Settlement, Written

AUDIT = 3600.0
MOVED = content(dates=(TUESDAY,))


def followed(of: Rules, about: Case, doubt: Intent, settlement: Settlement) -> Outcome:
    """The outcome; nothing of the target is asked for but what it declares."""
    target: Any = SimpleNamespace(name="main", rules=of, hris=SimpleNamespace(capabilities=of.capabilities))
    nobody: Any = None
    doubts = Doubts(
        target,
        nobody,
        nobody,
        Outcomes(Names("timeoff.outcomes", report=True), 1.0, 60.0),
        Patience((0.0,), 60.0, settle_without_known_record=False),
        AUDIT,
        8,
        nobody,
    )
    outcome = doubts._follow(about, doubt, settlement).outcome
    assert outcome is not None
    return outcome


def test_days_that_were_found_while_the_status_is_still_to_come_are_no_success() -> None:
    apart = rules({"update_mode": UpdateMode.IN_PLACE, "status_with_days": False})
    requested = spec(status=EntryStatus.REQUESTED)
    doubt = intent("update", spec=spec(status=EntryStatus.REQUESTED, days=days((TUESDAY,))))
    outcome = followed(apart, case(view(MOVED), entries=(entry(requested),)), doubt, Written("700"))
    assert (outcome.state, outcome.report, outcome.due_in) == ("open", None, 0.0)


def test_an_older_version_that_was_found_is_no_success_and_is_booked_as_what_it_is() -> None:
    guarded = rules({"external_key": ExternalKey.UNIQUE})
    doubt = intent(spec=spec(days=days((TUESDAY,))))
    outcome = followed(guarded, case(view(MOVED)), doubt, Written("801", spec=spec()))
    assert outcome.report is None
    assert outcome.entry is not None
    assert outcome.entry.spec == spec()


@pytest.mark.parametrize("cancel_mode", [CancelMode.STATUS, CancelMode.COUNTER_ENTRY])
def test_what_was_accepted_after_a_doubt_is_audited_too(cancel_mode: CancelMode) -> None:
    """A cancel that arrives twice does harm only where each books an entry of its own."""
    later = rules({"effective_within": 600.0, "cancel_mode": cancel_mode})
    inserted = followed(later, case(), intent(), Written("801", effective=False))
    assert inserted.audit_in == AUDIT
    cancelled = followed(later, case(entries=(entry(),)), intent("cancel"), Ended(effective=False))
    assert cancelled.audit_in == (AUDIT if cancel_mode is CancelMode.COUNTER_ENTRY else None)
