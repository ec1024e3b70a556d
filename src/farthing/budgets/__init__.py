"""Budgets that cannot be exceeded: leases from the store, reservations in memory.

B1  Of an enforced account, committed + leased <= limit after every step; what a worker has
    reserved is never more than what it has leased.
B2  committed is the sum of the ledger's entries charged to the account: the drainer moves both in
    one transaction, and nobody else writes it.
B3  A reservation ends once: settled at its actual cost, or abandoned at none. What it charges was
    decided when it was made.
B4  A cost above its reservation is booked in full and told as an overrun.
B5  A dead worker's lease returns after all that its journal holds has been booked.
B6  A threshold is told once per budget, key and window, whoever crosses it and however far.
"""

from farthing.budgets.account import Account, account_id, check_names
from farthing.budgets.purse import Purse, Reservation
from farthing.budgets.refusal import Refused
from farthing.budgets.scope import Scope
from farthing.budgets.settings import AtLimit, BudgetSettings, Mode
from farthing.budgets.shelf import BudgetFixed, BudgetShelf, UnknownBudget
from farthing.budgets.sqlite import SqliteBudgets
from farthing.budgets.store import LEASE_TTL_US, Ask, BudgetStore, Grant
from farthing.budgets.treasurer import Treasurer
from farthing.budgets.wait import Wait
from farthing.budgets.window import Span, Window

__all__ = [
    "LEASE_TTL_US",
    "Account",
    "Ask",
    "AtLimit",
    "BudgetFixed",
    "BudgetSettings",
    "BudgetShelf",
    "BudgetStore",
    "Grant",
    "Mode",
    "Purse",
    "Refused",
    "Reservation",
    "Scope",
    "Span",
    "SqliteBudgets",
    "Treasurer",
    "UnknownBudget",
    "Wait",
    "Window",
    "account_id",
    "check_names",
]
