"""What docs/deploy/monitoring asks for is what the program tells: names, labels, ports and the states that labels have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Gauge, Histogram

from graph_runtime.services.figures import KINDS, STATES
from graph_runtime.storage.instance import CALL_STATES
from graph_runtime.telemetry import metrics

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "deploy" / "monitoring"
OF_PROMETHEUS = {"up": {"job"}}
WORDS = {
    "absent", "and", "by", "histogram_quantile", "increase", "max", "or", "rate", "sum",
}  # fmt: skip
VALUES = {"state": {*STATES, *(s or "open" for s in CALL_STATES)}, "kind": {*KINDS}, "job": {"web", "worker"}}


def told() -> dict[str, set[str]]:
    """The labels of every series."""
    found = dict(OF_PROMETHEUS)
    for metric in vars(metrics).values():
        if not isinstance(metric, Counter | Gauge | Histogram):
            continue
        name, labels = metric._name, set(metric._labelnames)  # the library tells neither otherwise
        if isinstance(metric, Counter):
            found[f"{name}_total"] = labels
        elif isinstance(metric, Histogram):
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return found


def expressions() -> list[str]:
    """Of all alerts and all panels."""
    groups: Any = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    panels = json.loads((FOLDER / "grafana" / "patchcord.json").read_text("utf-8"))["panels"]
    asked = [rule["expr"] for group in groups for rule in group["rules"]]
    return asked + [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_every_series_that_is_asked_for_is_told_with_its_labels() -> None:
    known = told()
    asked = expressions()
    assert len(asked) > 30
    for expression in asked:
        bare = re.sub(r"\{[^}]*\}|\[\w+\]|by \([^)]*\)", " ", expression)
        names = set(re.findall(r"[a-z_]+[a-z]", bare)) - WORDS
        assert names, expression
        assert names <= set(known), f"{expression}: {names - set(known)}"
        labels = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        allowed = {label for name in names for label in known[name]}
        assert labels <= allowed | {"job"}, expression
        for label, value in re.findall(r'(\w+)="([^"]*)"', expression):
            assert label in allowed, expression
            assert value in VALUES[label], expression


def test_every_alert_says_what_to_do() -> None:
    groups: Any = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "warning")


def test_the_processes_that_are_asked_listen_where_they_are_asked() -> None:
    services: Any = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))["services"]
    asked: Any = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    ports = {job["dns_sd_configs"][0]["names"][0]: job["dns_sd_configs"][0]["port"] for job in asked}
    assert ports == {
        "web": services["web"]["environment"]["PATCHCORD_PORT"],
        "worker": services["worker"]["environment"]["PATCHCORD_WORKER_PORT"],
    }
    for job in asked:
        assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
