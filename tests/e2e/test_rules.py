"""Rules of Prometheus and dashboards of Grafana: their metrics exist, and alerts fire (``promtool``).

That a running node exports all its metrics is tested in ``test_roles.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deepoj.observe import Metrics
from tests.e2e.nodes import ROOT

WHERE = ROOT / "deploy" / "observability"
RULES = WHERE / "rules.yaml"
DASHBOARD = WHERE / "grafana" / "dashboards" / "deepoj.json"
#: words of PromQL, and metrics of Prometheus itself
OTHERS = {
    "sum", "max", "min", "count", "by", "rate", "increase", "histogram_quantile", "vector", "offset", "unless", "or",
    "and", "up",
}  # fmt: skip
_LABELS = re.compile(r"\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")
_NAME = re.compile(r"\b[a-z_][a-z_0-9]*\b")


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def names(expression: str) -> set[str]:
    bare = re.sub(r'"[^"]*"|\[\w+\]|\b\d[\w.]*', "", _BY.sub("", _LABELS.sub("", expression)))
    return set(_NAME.findall(bare)) - OTHERS


def labels(expression: str) -> set[str]:
    told = {part.partition("=")[0].rstrip("!~ ") for found in _LABELS.findall(expression) for part in found.split(",")}
    grouped = {part.strip() for found in _BY.findall(expression) for part in found.split(",")}
    return (told | grouped) - {"le", "instance", "service", "job", ""}


def declared() -> Mapping[str, set[str]]:
    """Return the labels of each sample name of the program's metrics."""
    endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
    found = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            for ending in endings.get(family.type, ("",)):
                found[f"{family.name}{ending}"] = set(metric._labelnames)
    return found


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expressions_use_labels_that_their_metrics_have(where: str, expression: str) -> None:
    known = declared()
    told = {label for name in names(expression) for label in known.get(name, ())}
    assert labels(expression) <= told, where


def test_every_name_is_told() -> None:
    told = set()
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told |= {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"} if family.type == "histogram" else {name}
    wanted = {name: where for where, expression in expressions() for name in names(expression)}
    assert len(wanted) > 30
    assert {name: where for name, where in wanted.items() if name not in told} == {}


def test_the_events_that_the_alerts_speak_of_are_logged_somewhere() -> None:
    code = "\n".join(file.read_text() for file in (ROOT / "deepoj").rglob("*.py"))
    spoken = set(re.findall(r"\blog event ([a-z]+_[a-z_]+)", RULES.read_text()))
    assert len(spoken) >= 5
    assert {event for event in spoken if f'"{event}"' not in code} == set()


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", str(RULES)),
        ("check", "config", "--syntax-only", str(WHERE / "prometheus.yml")),
        ("test", "rules", str(WHERE / "rules_test.yaml")),
    ],
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_played() -> None:
    alerts = {where for where, _ in expressions() if where.startswith("DeepOJ")}
    played = {
        row["alertname"]
        for test in yaml.safe_load((WHERE / "rules_test.yaml").read_text())["tests"]
        for row in test["alert_rule_test"]
        if row["exp_alerts"]
    }
    assert alerts == played
