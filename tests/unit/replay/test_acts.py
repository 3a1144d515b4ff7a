from collections.abc import Mapping
from typing import Any

import pytest

from autoops.errors import InputError
from autoops.months import Month
from autoops.replay.demo.scenarios import Driver, bad_promotion, broken_data, parse_choice
from autoops.services.airflow import AirflowClient, DagRun

FIRST = [Month(2023, 1), Month(2023, 2), Month(2023, 3)]
JUNE, JULY, AUGUST = Month(2023, 6), Month(2023, 7), Month(2023, 8)


class OpenEndedAirflow(AirflowClient):
    """Its runs last until they are told to end."""

    def __init__(self) -> None:
        super().__init__("http://airflow", "admin", "secret")
        self.triggered: list[Mapping[str, Any]] = []
        self.state = "running"

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        assert dag_id == "retrain"
        self.triggered.append(conf or {})
        return "run-1"

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(run_id, self.state, "manual", {})


@pytest.fixture
def airflow() -> OpenEndedAirflow:
    return OpenEndedAirflow()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def driver(airflow: OpenEndedAirflow, told: list[str]) -> Driver:
    acts = [bad_promotion(JULY, FIRST), broken_data(AUGUST)]
    return Driver(acts, airflow, lambda what, text: told.append(f"{what}: {text}"))


def test_nothing_happens_before_the_month_of_an_act(driver, airflow, told):
    for playing in (None, JUNE):
        driver.look(playing, [JUNE])
    assert (airflow.triggered, told, driver.under_way) == ([], [], False)


def test_the_bad_model_is_asked_for_once_as_its_month_begins(driver, airflow, told):
    for _ in range(3):
        driver.look(JULY, [JUNE])
    (form,) = airflow.triggered
    assert (form["months"], form["force"]) == ("2023-01..2023-03", True)
    assert told == [
        "act 2: bad promotion: somebody retrains on 2023-01..2023-03, before traffic changed, and forces the result in",
        "act 2: bad promotion: asked Airflow for a retraining: 2023-01..2023-03, force",
    ]


def test_a_rollback_is_expected_of_the_bad_model_while_its_run_goes_on(driver, airflow):
    driver.look(JULY, [JUNE])
    assert (driver.under_way, driver.expects_rollback) == (True, True)
    airflow.state = "success"
    driver.look(JULY, [JUNE])
    assert (driver.under_way, driver.expects_rollback) == (False, False)


def test_the_broken_month_is_told_when_it_begins_and_retrained_after_when_it_is_published(driver, airflow, told):
    driver.look(AUGUST, [JUNE, JULY])
    assert airflow.triggered == []
    assert "kilometres" in told[-1]
    driver.look(AUGUST, [JUNE, JULY, AUGUST])
    (form,) = airflow.triggered
    assert "months" not in form
    assert not form.get("force")
    assert (driver.under_way, driver.expects_rollback) == (True, False)


def test_what_acts_there_are_is_said_to_who_asks_for_others():
    assert [parse_choice(name) for name in ("core", "all")] == ["core", "all"]
    with pytest.raises(InputError, match="'two': expected one of core, all"):
        parse_choice("two")
