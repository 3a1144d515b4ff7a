"""What is told of mlflow's errors, whose messages run to pages."""

import subprocess
import sys

import pytest

from autoops.errors import RegistryUnavailable
from autoops.mlflow_registry.answers import MOST_CHARACTERS, require_listener, told, translated
from tests.ports import free_port


def test_of_a_long_message_the_beginning_and_the_cause_are_told() -> None:
    asked, cause = (
        "Max retries exceeded with url: /" + "a" * MOST_CHARACTERS,
        "(Caused by 'too many 503 error responses')",
    )
    line = told(RuntimeError(f"{asked} {cause}\nand more"))
    assert line.startswith("Max retries exceeded")
    assert line.endswith(cause)
    assert len(line) < MOST_CHARACTERS + 10


def test_a_message_that_fits_is_told_as_it_is() -> None:
    assert told(RuntimeError("no such run\n  at ...")) == "no such run"
    assert told(RuntimeError()) == "RuntimeError"


def test_a_server_that_is_gone_is_one_short_line() -> None:
    import requests

    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailable) as gone, translated(uri, "alias champion"):
        requests.get(f"{uri}/api/2.0/mlflow/registered-models/alias", timeout=1)
    assert str(gone.value) == f"MLflow at {uri}: alias champion: does not answer: connection refused"


def test_the_port_is_looked_at_before_mlflow_is_imported() -> None:
    code = (
        "import sys\n"
        "from autoops.errors import RegistryUnavailable\n"
        "from autoops.mlflow_registry import MlflowRegistry\n"
        "from autoops.settings import MLflow\n"
        "try: MlflowRegistry('m', MLflow(tracking_uri=sys.argv[1])).by_alias('champion')\n"
        "except RegistryUnavailable as error: print(error, 'mlflow' in sys.modules)\n"
    )
    uri = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"MLflow at {uri}: does not answer: connection refused False\n", "")


def test_a_server_behind_a_proxy_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    require_listener(uri)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(RegistryUnavailable):
        require_listener(uri)
