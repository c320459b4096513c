"""What the routes of the service work with."""

from __future__ import annotations

from dataclasses import dataclass

from timeoff.ledger import Ledger
from timeoff.ledger.balance import BalanceStore
from timeoff.settings.model import BalanceSettings
from timeoff_balance.access import Access
from timeoff_balance.balances import Balances
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.database import Pool
from timeoff_balance.directory import Directory
from timeoff_balance.shelves import Shelves


@dataclass(frozen=True, slots=True)
class Parts:
    """`pool` stands in the schema `balance`, `ledger.pool` in the ledger's."""

    settings: BalanceSettings
    pool: Pool
    ledger: Ledger
    store: BalanceStore
    balances: Balances
    directory: Directory
    access: Access
    shelves: Shelves
    clock: DatabaseClock


__all__ = ["Parts"]
