"""What every answer tells a browser, and what none tells anybody."""

import httpx

from tests.integration.serving.conftest import TRIP

WANTED = {
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def test_every_answer_has_the_headers_and_none_names_the_server(api: httpx.Client) -> None:
    answers = [
        api.post("/predict", json=TRIP),
        api.post("/predict", json={}),
        api.get("/nothing"),
        api.get("/predict"),
        api.get("/docs"),
        api.get("/metrics"),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 404, 405, 200, 200]
    for answer in answers:
        assert WANTED.items() <= dict(answer.headers).items()
        assert "server" not in answer.headers
