"""Lines for people; what JSON makes of the same is tested on a real server and a real command."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from autoops.settings import CONFIG_VARIABLE
from autoops.telemetry import logs
from tests.conftest import CONFIG

logger = logging.getLogger("autoops.somewhere")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What `configure` lets through to stderr; the handlers of before are back afterwards."""
    root = logging.getLogger()
    handlers, level, root.handlers = root.handlers, root.level, []
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure("cli")
    assert isinstance(sys.stderr, io.StringIO)
    yield sys.stderr
    root.handlers, root.level = handlers, level


def test_a_line_for_people_ends_with_what_it_is_about(written: io.StringIO) -> None:
    with logs.about(incident_id=3):
        logger.info("looked at %d windows", 2)
        with logs.about(incident_id=4, model_version=7):
            logger.info("inside")
        logger.info("still %s", "three")
    logger.info("about nothing")

    said = [line.partition("INFO    autoops.somewhere: ")[2] for line in written.getvalue().splitlines()]
    assert said == [
        "looked at 2 windows [incident 3]",
        "inside [incident 4] [model version 7]",
        "still three [incident 3]",
        "about nothing",
    ]


def test_a_line_for_people_keeps_its_exception(written: io.StringIO) -> None:
    try:
        raise KeyError("x")
    except KeyError:
        with logs.about(request_id="a"):
            logger.exception("broken")

    first, *trace = written.getvalue().splitlines()
    assert first.endswith("ERROR   autoops.somewhere: broken [request a]")
    assert (trace[0], trace[-1]) == ("Traceback (most recent call last):", "KeyError: 'x'")
