"""Metrics and logs. Callers write ``observe.log(…)`` and ``metrics.claim.labels(…).inc()``.

::

    metrics     every metric, declared once
    fields      every field of a log line, declared once; fields that are never written
    throttle    repeated lines are written once, and then counted
    logs        writing and setting up logs
"""

from deepoj.observe.logs import LogStyle, bound, configure, flush, log
from deepoj.observe.metrics import Identity, Metrics

__all__ = ["Identity", "LogStyle", "Metrics", "bound", "configure", "flush", "log"]
