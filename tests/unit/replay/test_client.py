import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from autoops.errors import ServiceUnavailable
from autoops.replay.client import ApiClient, served_version
from tests.taxi import CONTRACT
from tests.unit.replay.worlds import AnsweringApi

LABEL = {"request_id": "2023-01/1", "trip_duration_minutes": 10.0}


def refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def stall(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("silence", request=request)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[ApiClient, AnsweringApi]:
    api = AnsweringApi(answer=answer)
    return ApiClient("http://api", CONTRACT, transport=api), api


def test_an_answer_is_minutes_and_the_version_that_said_so():
    client = ApiClient("http://api", CONTRACT, transport=AnsweringApi(version=4))
    assert asyncio.run(client.predict({"trip_distance": 1.0})) == (12.0, 4)
    assert (client.requests, dict(client.failures)) == (1, {})


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (lambda request: httpx.Response(503, text="warming up"), "/predict: 503 warming up"),
        (lambda request: httpx.Response(422, json={"title": "no"}), '/predict: 422 {"title":"no"}'),
        (lambda request: httpx.Response(307, headers={"location": "/"}), "/predict: 307 "),
        (refuse, "/predict: ConnectError"),
        (stall, "/predict: ReadTimeout"),
    ],
)
def test_what_is_no_2xx_or_never_came_has_failed_once(answer, failure):
    client, api = answering(answer)
    assert asyncio.run(client.predict({})) is None
    assert dict(client.failures) == {failure: 1}
    assert len(api.sent) == client.requests == 1


def test_long_complaints_are_cut_so_that_like_ones_are_counted_together():
    client, _ = answering(lambda request: httpx.Response(500, text="x" * 10_000))
    asyncio.run(client.predict({}))
    assert len(next(iter(client.failures))) < 250


def test_labels_go_in_one_request():
    api = AnsweringApi()
    client = ApiClient("http://api", CONTRACT, transport=api)
    assert asyncio.run(client.send_labels([LABEL, LABEL])) is True
    assert api.sent == [("/ground-truth", {"labels": [LABEL, LABEL]})]


def test_labels_that_could_not_be_sent_have_failed_together():
    client, _ = answering(refuse)
    assert asyncio.run(client.send_labels([LABEL, LABEL])) is False
    assert client.failures.total() == 1


def test_each_refused_label_is_a_failure_of_its_own():
    refused = [{"position": 0, "reason": "a"}, {"position": 2, "reason": "b"}]
    client, _ = answering(lambda request: httpx.Response(200, json={"refused": refused}))
    assert asyncio.run(client.send_labels([LABEL] * 3)) is True
    assert dict(client.failures) == {"label refused": 2}


def info(content: bytes, status: int = 200) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, content=content))


@pytest.mark.parametrize("version", [None, 3])
def test_the_served_version_is_the_apis_own_word(version):
    assert served_version("http://api", info(json.dumps({"model_version": version}).encode())) == version


@pytest.mark.parametrize("transport", [info(b"", 500), httpx.MockTransport(refuse)])
def test_an_api_that_does_not_say_is_unavailable(transport):
    with pytest.raises(ServiceUnavailable, match="does not say which version"):
        served_version("http://api", transport)
