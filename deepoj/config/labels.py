"""The labels ``service`` and ``instance`` of metrics: the section ``observability``, and ``metrics`` of each role."""

from __future__ import annotations

from deepoj.config.fields import Section, key


class ObservabilitySection(Section):
    service_name: str = key("", doc="The label `service` of every metric of this node, in place of the names by role.")
    instance_id: str = key(
        "",
        doc="Label `instance` of all metrics of this node; set it if host names do not distinguish nodes.",
    )


class ApiMetricsSection(Section):
    service_name: str = key("deep-oj-api", "SERVICE_NAME", doc="The label `service` of the API's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the API's metrics.")


class SchedulerMetricsSection(Section):
    service_name: str = key("deep-oj-scheduler", "SERVICE_NAME", doc="The label `service` of the scheduler's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the scheduler's metrics.")


class WorkerMetricsSection(Section):
    service_name: str = key("deep-oj-worker", "SERVICE_NAME", doc="The label `service` of the worker's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the worker's metrics.")
