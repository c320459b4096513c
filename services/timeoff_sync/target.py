"""One HRIS target as the workers see it: the adapter behind its budget, and the rules in force."""

from __future__ import annotations

from dataclasses import dataclass

from timeoff.hris.target import BudgetedHris, CallMetrics
from timeoff_sync import metrics
from timeoff_sync.decisions import Rules

METRICS = CallMetrics(metrics.HRIS_CALLS, metrics.HRIS_SECONDS)


@dataclass(kw_only=True)
class Target(BudgetedHris):
    """`rules` is replaced as a whole when types or plans are read anew."""

    rules: Rules
    metrics: CallMetrics = METRICS
    #: False until its types were listed: nothing can be decided for it
    types_known: bool = True
