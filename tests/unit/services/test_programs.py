from typing import Any

import pytest

from autoops.errors import InputError, SettingsError
from autoops.services.lifecycle import status
from autoops.services.programs import programs
from autoops.settings import Settings


def with_section(settings: Settings, section: str, **values: Any) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def test_all_services_run_by_default_and_all_that_airflow_shows_on_its_home_page(settings: Settings) -> None:
    names = [program.name for program in programs(settings)]
    assert names == [
        "mlflow",
        "api",
        "exporter",
        "console",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    ]


def test_a_service_left_out_is_left_out_whole(settings: Settings) -> None:
    assert [program.name for program in programs(settings, ["airflow", "mlflow", "exporter", "console"])] == ["api"]


def test_an_unknown_service_is_refused_with_those_that_exist(settings: Settings) -> None:
    with pytest.raises(
        InputError, match=r"no such service: grafana; expected some of mlflow, api, exporter, console, airflow"
    ):
        programs(settings, ["grafana"])


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "https://mlflow.example.org:443", "http://mlflow.example.org"])
def test_a_tracking_uri_that_no_server_can_be_started_on_is_refused(settings: Settings, uri: str) -> None:
    elsewhere = with_section(settings, "mlflow", tracking_uri=uri)
    with pytest.raises(SettingsError, match=r"mlflow\.tracking_uri.*--without mlflow"):
        programs(elsewhere)
    assert "mlflow" not in [program.name for program in programs(elsewhere, ["mlflow"])]


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "https://mlflow.corp.example", "http://mlflow:port"])
def test_status_tells_of_the_others_where_mlflow_is_elsewhere(settings: Settings, uri: str) -> None:
    rows = status(with_section(settings, "mlflow", tracking_uri=uri))
    assert [row.service for row in rows][:2] == ["api", "exporter"]


def test_mlflow_follows_its_uri_and_answers_to_its_own_host_name(settings: Settings) -> None:
    moved = with_section(settings, "mlflow", tracking_uri="http://mlflow.lan:5123")
    command = programs(moved)[0].command
    assert command[command.index("--host") + 1 : command.index("--host") + 4] == ("mlflow.lan", "--port", "5123")
    allowed = command[command.index("--allowed-hosts") + 1].split(",")
    assert {"mlflow.lan", "mlflow.lan:*", "127.0.0.1:*", "localhost:*"} <= set(allowed)


def test_an_ipv6_host_has_brackets_in_each_url(settings: Settings) -> None:
    moved = with_section(settings, "mlflow", tracking_uri="http://[::1]:5000")
    for section in ("serving", "airflow", "exporter", "console"):
        moved = with_section(moved, section, host="::1")
    urls = {program.service: program.url for program in programs(moved)}
    assert urls == {
        "mlflow": "http://[::1]:5000",
        "api": "http://[::1]:8000",
        "exporter": "http://[::1]:9464/metrics",
        "console": "http://[::1]:8010",
        "airflow": "http://[::1]:8080",
    }
    assert {program.listens.host for program in programs(moved) if program.listens} == {"::1"}
    mlflow = programs(moved)[0].command
    assert "[::1]:*" in mlflow[mlflow.index("--allowed-hosts") + 1].split(",")


def test_every_listener_knows_the_setting_that_moves_it(settings: Settings) -> None:
    listening = {p.service: (p.listens.port, p.listens.setting) for p in programs(settings) if p.listens}
    assert listening == {
        "mlflow": (5000, "mlflow.tracking_uri"),
        "api": (8000, "serving.port"),
        "exporter": (9464, "exporter.port"),
        "console": (8010, "console.port"),
        "airflow": (8080, "airflow.port"),
    }


def test_the_api_is_given_the_time_that_its_last_commit_may_take(settings: Settings) -> None:
    patient = with_section(settings, "storage", timeout_s=300)
    (api,) = programs(patient, ["airflow", "exporter", "console", "mlflow"])
    assert api.stop_timeout_s > 300 + settings.serving.timeout_s


def test_the_schedulers_log_server_which_would_listen_everywhere_is_off(settings: Settings) -> None:
    scheduler = next(program for program in programs(settings) if program.name == "airflow-scheduler")
    assert "--skip-serve-logs" in scheduler.command
