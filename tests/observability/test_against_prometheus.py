"""What the dashboards, the rules and the documents name is there, in a Prometheus that scraped what runs."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from tests.eventually import eventually
from tests.observability.conftest import Observed
from tests.observability.server import ROOT, SHIPPED

pytestmark = pytest.mark.system

GRAFANA = ROOT / "docker" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
RULES = [
    rule
    for path in sorted((SHIPPED / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]


class Query(NamedTuple):
    where: str
    expression: str


def queries() -> Iterator[Query]:
    """Of every panel and every annotation."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Query(f"{name}: {panel['title']} {target['refId']}", target["expr"])
        for mark in board["annotations"]["list"]:
            yield Query(f"{name}: {mark['name']}", mark["expr"])


@pytest.mark.parametrize("query", [pytest.param(query, id=query.where) for query in queries()])
def test_every_query_of_a_dashboard_finds_data(observed: Observed, query: Query) -> None:
    expression = query.expression.replace("$__rate_interval", "5m").replace("$__range", "15m")
    assert "$" not in expression
    assert observed.prometheus.query(expression), query


def test_every_rule_is_evaluated_and_knows_its_series(observed: Observed) -> None:
    eventually(
        lambda: all(rule["health"] != "unknown" for rule in observed.prometheus.rules()), 30, "all are evaluated"
    )
    evaluated = {rule["name"]: rule for rule in observed.prometheus.rules()}
    assert evaluated.keys() == {rule["alert"] for rule in RULES}
    assert [rule["name"] for rule in evaluated.values() if rule["health"] != "ok"] == []
    for rule in RULES:
        for series in sorted(set(re.findall(r"\b(?:up|autoops_\w+)\b", rule["expr"]))):
            assert observed.prometheus.query(f"count({series})"), f"{rule['alert']}: there is no {series}"


def test_what_is_healthy_raises_no_alarm(observed: Observed) -> None:
    firing = {
        alert["labels"]["alertname"]
        for alert in observed.prometheus.ask("alerts")["alerts"]
        if alert["state"] == "firing"
    }
    assert firing == set()


def test_the_figures_are_those_of_the_history(observed: Observed) -> None:
    value = {
        name: observed.prometheus.query(name)
        for name in (
            "autoops_model_version",
            "autoops_champion_version",
            'autoops_retrainings_total{outcome="promoted"}',
            'autoops_incidents_opened_total{kind="drift"}',
            "sum(autoops_incidents)",
            'autoops_http_requests_total{route="/predict",status="503"}',
            'autoops_predictions_total{model_version="2"}',
            "autoops_error_rows",
            'autoops_error_low_minutes{kind="signed"} < autoops_error_minutes < autoops_error_high_minutes',
        )
    }
    *exact, bounded = value.values()
    assert exact == [[2], [2], [2], [1], [0], [1], [80], [1000]], value
    assert len(bounded) == 1
    (kept,) = observed.prometheus.query("autoops_rows_kept_total + on () sum(autoops_rows_dropped_total)")
    assert [kept] == observed.prometheus.query("autoops_rows_read_total")


def test_every_metric_is_documented_and_every_documented_one_is_there(observed: Observed) -> None:
    series = observed.prometheus.ask("label/__name__/values")
    known = {re.sub("_(bucket|count|sum)$", "", name) for name in series if name.startswith("autoops_")}
    told = re.findall(r"^\| `(autoops_\w+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(name for name in known if not name.endswith("_created"))


def test_dashboards_are_provisioned_whole() -> None:
    """Grafana itself is not asked: what it would stumble over first is."""
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uids = {source["uid"] for source in sources["datasources"]}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 2
    for board in BOARDS.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (place["x"] + column, place["y"] + row) for column in range(place["w"]) for row in range(place["h"])
            }
            assert max(column for column, _ in cells) < 24
            assert not cells & taken, f"{panel['title']} lies on another panel"
            taken |= cells
            assert {target["datasource"]["uid"] for target in panel.get("targets", ())} <= uids
