"""The shipper's configuration against what lines really hold; Filebeat itself has never read it."""

import yaml

from autoops.telemetry.logs import FIELDS
from tests.conftest import CONFIG

FILE = CONFIG.parent / "docker" / "filebeat" / "filebeat.yml"


def test_what_airflow_calls_a_field_becomes_what_we_call_it() -> None:
    shipper = yaml.safe_load(FILE.read_text())
    (condition,) = shipper["processors"]
    (renamed,) = [one["rename"]["fields"] for one in condition["then"] if "rename" in one]
    names = {one["from"]: one["to"] for one in renamed}
    assert {name: names[name] for name in ("incident_id", "model_version")} == {
        name: FIELDS[name] for name in ("incident_id", "model_version")
    }
    assert {"event": "message", "level": "log.level", "logger": "log.logger"}.items() <= names.items()


def test_lines_of_containers_and_of_tasks_are_read_as_json_with_names_that_have_dots() -> None:
    inputs = yaml.safe_load(FILE.read_text())["filebeat.inputs"]
    for one in inputs:
        (parser,) = [parser["ndjson"] for parser in one["parsers"] if "ndjson" in parser]
        assert (parser["target"], parser["expand_keys"], parser["overwrite_keys"]) == ("", True, True)
    assert len({one["id"] for one in inputs}) == len(inputs) == 2
