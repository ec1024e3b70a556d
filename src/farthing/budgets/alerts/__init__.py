"""Alerts: who hears of a budget, in which words, and until it is known to have arrived.

The drainer notes what happened in the table `budget_events`, in the transaction in which it
happened; everything here reads that outbox. See `outbox` for what holds of it.
"""

from farthing.budgets.alert_settings import AlertSettings, check_targets, targets_named
from farthing.budgets.alerts.alert import Alert
from farthing.budgets.alerts.backoff import Backoff
from farthing.budgets.alerts.courier import Books, Courier, send_tests
from farthing.budgets.alerts.delivery import NotDelivered, Sent, Target
from farthing.budgets.alerts.desk import AlertDesk, run_desk
from farthing.budgets.alerts.drivers import Drivers, History, LedgerHistory
from farthing.budgets.alerts.event import AlertEvent, Delivery, DeliveryState, Kind, anomaly_event
from farthing.budgets.alerts.outbox import Outbox, add_event
from farthing.budgets.alerts.signing import signing_key, verify
from farthing.budgets.alerts.targets import make_targets
from farthing.budgets.alerts.watch import ForecastWatch

__all__ = [
    "Alert",
    "AlertDesk",
    "AlertEvent",
    "AlertSettings",
    "Backoff",
    "Books",
    "Courier",
    "Delivery",
    "DeliveryState",
    "Drivers",
    "ForecastWatch",
    "History",
    "Kind",
    "LedgerHistory",
    "NotDelivered",
    "Outbox",
    "Sent",
    "Target",
    "add_event",
    "anomaly_event",
    "check_targets",
    "make_targets",
    "run_desk",
    "send_tests",
    "signing_key",
    "targets_named",
    "verify",
]
