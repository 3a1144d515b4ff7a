"""Prometheus's own tools on the files that the stack ships."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observability.server import SHIPPED, program

TRIED = Path(__file__).parent / "rules_test.yml"


@pytest.mark.parametrize(
    "words",
    [("check", "config", "--syntax-only", str(SHIPPED / "prometheus.yml")), ("test", "rules", str(TRIED))],
    ids=["config", "rules"],
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    done = subprocess.run([program("promtool"), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried() -> None:
    groups = yaml.safe_load((SHIPPED / "rules" / "autoops.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert alerts == set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", TRIED.read_text()))
