"""The short version of `scripts/test.sh fuzz`."""

from pathlib import Path

from tests.fuzz import api, streams


def test_the_api_does_what_its_document_says_and_nothing_worse(tmp_path: Path) -> None:
    with api.served(tmp_path) as url:
        outcome = api.ask(url, tmp_path, max_examples=35, seed=1)
    assert outcome.held
    assert outcome.server_errors == 0
    assert outcome.requests > 500, outcome.requests
    assert {route for route, status in outcome.answers if status == 200} >= {
        "/predict",
        "/predict/batch",
        "/ground-truth",
    }


def test_mutated_streams_are_taken_or_refused() -> None:
    assert streams.mutate(2000, seed=1).total() == 2000
