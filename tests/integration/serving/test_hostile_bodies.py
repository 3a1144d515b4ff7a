"""Memory of a real server while clients send bodies that are large, wrong, or both."""

import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from autoops.models.registry import CHAMPION, TrainingRun
from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_bad_input import problem_of
from tests.integration.serving.test_durability import process
from tests.memory import memory_bytes

HEADERS = {"content-type": "application/json"}
MB = 1 << 20
BATCH = 10_000


class Server:
    """A running API, its memory at rest, and its peak since."""

    def __init__(self, running: subprocess.Popen[bytes], url: str) -> None:
        self._pid = running.pid
        self.client = httpx.Client(base_url=url, timeout=60)
        for _ in range(3):
            self.client.post("/predict/batch", json={"trips": [TRIP] * BATCH}).raise_for_status()
        self.at_rest = memory_bytes(self._pid, "VmRSS")

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        return self.client.post(path, content=content, headers=HEADERS | headers)

    def check_memory(self) -> None:
        assert memory_bytes(self._pid, "VmHWM") <= 2 * self.at_rest
        assert self.client.get("/health").is_success


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, runs: list[TrainingRun]) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("hostile")
    registry = DirectoryRegistry(home / "registry")
    registry.directory.mkdir()
    registry.register(runs[0])
    registry.set_alias(CHAMPION, 1)
    with process(home, registry, AUTOOPS__STORAGE__HOME=str(home / "var")) as (running, url):
        yield Server(running, url)


def ones(name: str, size: int) -> bytes:
    return b'{"%s": [%s1]}' % (name.encode(), b"1," * (size // 2))


def unknown_fields(size: int) -> bytes:
    return b'{"a": 1%s}' % b"".join(b',"%06x": 1' % number for number in range(size // 12))


BODIES = {
    "/predict": [ones("trips", MB), ones("trips", 28 * MB), unknown_fields(28 * MB)],
    "/predict/batch": [
        ones("trips", MB),
        ones("trips", 28 * MB),
        b'{"columns": {"trip_distance": [%s1]}}' % (b"1," * (MB // 2)),
        b'{"trips": [%s[]]}' % (b"[]," * MB),
        b'{"trips": [%s[%s' % (b"[[[]]]," * (MB // 2), b"[" * MB),
        b'{"trips": [%s]}' % unknown_fields(4 * MB),
        unknown_fields(4 * MB),
        unknown_fields(28 * MB),
    ],
    "/ground-truth": [ones("labels", MB), ones("labels", 28 * MB), b'{"labels": [%s]}' % unknown_fields(4 * MB)],
}


@pytest.mark.parametrize("path", BODIES)
def test_memory_stays_within_twice_its_rest(server: Server, path: str) -> None:
    for body in BODIES[path]:
        problem_of(server.post(path, body), 413)
    server.check_memory()


WRONG_ROWS: dict[str, tuple[str, bytes, int]] = {
    "no objects": ("/predict/batch", b'{"trips": [%s1]}' % (b"1," * (BATCH - 1)), BATCH),
    "empty rows": ("/predict/batch", b'{"trips": [%s{}]}' % (b"{}," * (BATCH - 1)), 3 * BATCH),
    "unknown fields": ("/predict/batch", b'{"trips": [%s]}' % unknown_fields(MB), MB // 12 + 1 + 3),
    "a column of texts": (
        "/predict/batch",
        b'{"columns": {"trip_distance": [%s""], "pickup_location_id": [], "dropoff_location_id": []}}'
        % (b'"",' * (BATCH - 1)),
        BATCH,
    ),
    "a long name": ("/predict/batch", b'{"%s": 1}' % (b"a" * MB), 1),
}


@pytest.mark.parametrize("case", WRONG_ROWS)
def test_all_mistakes_are_counted_and_twenty_listed(server: Server, case: str) -> None:
    path, body, mistakes = WRONG_ROWS[case]
    answer = server.post(path, body)
    problem = problem_of(answer, 422)
    assert len(problem.errors or []) == min(mistakes, 20)
    assert problem.detail.endswith(f" (and {mistakes - 1} more)") or mistakes == 1
    assert len(answer.content) < 4000
    server.check_memory()


def test_labels_with_unknown_fields_are_refused_by_position(server: Server) -> None:
    answer = server.post("/ground-truth", b'{"labels": [%s, 1]}' % unknown_fields(MB))
    assert [refused["position"] for refused in answer.json()["refused"]] == [0, 1]
    assert len(answer.content) < 4000
    server.check_memory()


def test_the_limit_is_told_and_the_next_request_answered(server: Server) -> None:
    problem = problem_of(server.post("/predict", b" " * 10_000), 413)
    assert problem.detail == "body: at most 8192 bytes for this path, got 10000"
    problem = problem_of(server.post("/predict", iter([b" " * 10_000])), 413)
    assert problem.detail == "body: at most 8192 bytes for this path, got more"
    problem = problem_of(server.post("/predict/batch", b'{"trips": [%s{}]}' % (b"{}," * BATCH)), 413)
    assert problem.detail == "trips: at most 10000 in one request, got 10001"
    problem = problem_of(server.post("/predict/batch", ones("trips", MB)), 413)
    assert problem.detail.startswith("rows: at most 10000 in one request, got 524290 values")
    assert server.client.post("/predict", json=TRIP).is_success


def test_commas_in_texts_are_no_values(server: Server) -> None:
    rows = [TRIP | {"request_id": "," * 190 + f"{number}"} for number in range(2_000)]
    assert server.client.post("/predict/batch", json={"trips": rows}).is_success
