"""UrlSource against a real web server that misbehaves on demand."""

import gzip
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from autoops.clock import SystemClock
from autoops.errors import CorruptFile, NotPublished, SchemaError, SourceUnavailable
from autoops.ingestion.source import CHUNK_BYTES, file_name
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.ingestion.url_source import UrlSource
from autoops.months import Month, Week, parse_months, periods_of
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecases.taxi.clean import clean
from tests.unit.ingestion.raw import MARCH, write_month

JANUARY = Month(2022, 1)
Answer = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Serves the server's files; an answer queued for a file is given instead, once."""

    server: "FileServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked[self.command, name] += 1
        name = name.partition("?")[0]
        content = self.server.files.get(name)
        queued = self.server.queued.get(name)
        if queued:
            queued.pop(0)(self, content or b"")
        elif content is None:
            self.refuse(self.server.missing)
        else:
            self.deliver(content)

    do_HEAD = do_GET  # noqa: N815

    def deliver(self, content: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(content) if length is None else length))
        self.send_header("etag", f'"{hash(content)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        if length is not None:
            self.close_connection = True

    def refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


class FileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.queued: dict[str, list[Answer]] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.missing = 403

    def publish(self, path: Path) -> bytes:
        self.files[path.name] = path.read_bytes()
        return self.files[path.name]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/trip-data/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with FileServer() as server:
        for month in (JANUARY, MARCH):
            server.publish(write_month(tmp_path / "server", [_trip(month, n) for n in range(200)], month))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _trip(month: Month, n: int) -> dict[str, object]:
    times = (f"{month}-15T12:{minute}:00" for minute in ("00", "10"))
    return dict(zip(("lpep_pickup_datetime", "lpep_dropoff_datetime"), times, strict=True)) | {"trip_distance": 1 + n}


@pytest.fixture
def source(server: FileServer) -> UrlSource:
    return UrlSource(server.url, timeout_s=1, attempts=3, backoff_s=0.01)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "target" / "march.parquet"
    target.parent.mkdir()
    target.write_text("older")
    return target


def truncated(handler: Handler, content: bytes) -> None:
    handler.deliver(content[: len(content) // 2], length=len(content))


def failing(handler: Handler, content: bytes) -> None:
    handler.refuse(500)


def busy(handler: Handler, content: bytes) -> None:
    handler.refuse(429)


def silent(handler: Handler, content: bytes) -> None:
    threading.Event().wait(0.5)
    handler.close_connection = True


def stalling(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:100])
    silent(handler, content)


def dropping(handler: Handler, content: bytes) -> None:
    handler.close_connection = True


def stands_untouched(target: Path) -> bool:
    return target.read_text() == "older" and list(target.parent.iterdir()) == [target]


def test_fetch_streams_the_file_reports_progress_and_returns_the_servers_stamp(server, source, target):
    seen: list[tuple[int, int | None]] = []
    metadata = source.fetch(MARCH, target, lambda done, of: seen.append((done, of)))

    content = server.files[file_name(MARCH)]
    assert target.read_bytes() == content
    assert (metadata.length, metadata.etag, metadata.last_modified) == (len(content), f'"{hash(content)}"', None)
    assert metadata.matches(source.metadata(MARCH))
    assert seen[-1] == (len(content), len(content))
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("trouble", [truncated, failing, busy, dropping, stalling])
def test_a_passing_trouble_costs_an_attempt_and_no_more(server, target, trouble):
    source = UrlSource(server.url, timeout_s=0.2, attempts=3, backoff_s=0.01)
    server.queued[file_name(MARCH)] = [trouble, trouble]

    source.fetch(MARCH, target)

    assert target.read_bytes() == server.files[file_name(MARCH)]
    assert server.asked["GET", file_name(MARCH)] == 3
    assert list(target.parent.iterdir()) == [target]


def test_what_a_cut_off_attempt_left_is_not_in_the_file(server, source, target, tmp_path):
    rng = random.Random(7)
    content = server.publish(write_month(tmp_path, [{"trip_distance": rng.random()} for _ in range(20_000)]))
    assert len(content) // 2 > CHUNK_BYTES
    server.queued[file_name(MARCH)] = [truncated]
    seen: list[int] = []

    source.fetch(MARCH, target, lambda done, _: seen.append(done))

    assert target.read_bytes() == content
    assert min(seen) < max(seen) == seen[-1] == len(content)


@pytest.mark.parametrize("trouble", [truncated, busy, dropping, silent])
def test_a_lasting_trouble_makes_the_source_unavailable_and_leaves_the_older_file(server, target, trouble):
    source = UrlSource(server.url, timeout_s=0.2, attempts=2, backoff_s=0.01)
    server.queued[file_name(MARCH)] = [trouble] * 10

    with pytest.raises(SourceUnavailable, match=r"green_tripdata_2022-03\.parquet: .*in the last of 2 attempts"):
        source.fetch(MARCH, target)
    assert server.asked["GET", file_name(MARCH)] == 2
    assert stands_untouched(target)


def test_a_refusal_that_another_attempt_cannot_better_is_not_repeated(server, source, target):
    server.queued[file_name(MARCH)] = [lambda handler, _: handler.refuse(401)] * 3

    with pytest.raises(SourceUnavailable, match="HTTP 401"):
        source.fetch(MARCH, target)
    assert server.asked["GET", file_name(MARCH)] == 1
    assert stands_untouched(target)


def test_a_server_that_is_not_there(target):
    with FileServer() as closed:
        url = closed.url
    source = UrlSource(url, timeout_s=0.5, attempts=2, backoff_s=0.01)

    for ask in (source.published, lambda: source.metadata(MARCH), lambda: source.fetch(MARCH, target)):
        with pytest.raises(SourceUnavailable, match="in the last of 2 attempts"):
            ask()
    assert stands_untouched(target)


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_month_is_not_published_while_another_month_is_there(server, source, target, status):
    server.missing = status

    with pytest.raises(NotPublished, match="2022-02 is not published"):
        source.fetch(Month(2022, 2), target)
    with pytest.raises(NotPublished):
        source.metadata(Month(2022, 2))
    assert server.asked["GET", file_name(Month(2022, 2))] == 1
    assert stands_untouched(target)


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_refuses_every_month_is_unavailable(server, source, target, status):
    server.missing = status
    server.files.clear()

    for ask in (source.published, lambda: source.metadata(MARCH), lambda: source.fetch(MARCH, target)):
        with pytest.raises(SourceUnavailable, match="has no month of 2009-01 to "):
            ask()


@pytest.mark.parametrize("length", ["given", "not given"])
def test_a_file_that_is_corrupt_on_the_server_is_named(server, source, target, length):
    half = server.files[file_name(MARCH)][:-30]
    server.files[file_name(MARCH)] = half
    if length == "not given":
        server.queued[file_name(MARCH)] = [_without_length]

    with pytest.raises(CorruptFile, match=r"http://.*/trip-data/green_tripdata_2022-03\.parquet: truncated"):
        source.fetch(MARCH, target)
    assert stands_untouched(target)


def _without_length(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("connection", "close")
    handler.end_headers()
    handler.wfile.write(content)
    handler.close_connection = True


def test_published_is_what_answers_wherever_it_begins_and_whatever_lies_between(server, source):
    content = server.files[file_name(MARCH)]
    server.files.clear()
    months = parse_months("2013-08,2019-12,2022-05..2023-02")
    for month in months:
        server.files[file_name(month)] = content

    assert source.published() == months
    assert {command for command, _ in server.asked} == {"HEAD"}
    server.asked.clear()
    assert source.published() == months
    years = SystemClock().now().year - 2013 + 1
    assert server.asked.total() == 12 * years, "years before the first month are asked for once"


def test_a_server_of_ones_own_holds_what_it_holds(server, source, tmp_path):
    """None of 2022-01."""
    content = server.files[file_name(MARCH)]
    server.files = {file_name(MARCH): content}
    assert MonthStore(tmp_path / "months", clean).ingest(source, MARCH).status == "ingested"
    assert source.published() == [MARCH]
    with pytest.raises(NotPublished, match="2022-02 is not published"):
        source.fetch(Month(2022, 2), tmp_path / "target")


def test_a_month_that_the_server_fails_at_is_left_out_and_named(server, source, caplog):
    server.queued[file_name(MARCH)] = [failing] * 3
    assert source.published() == [JANUARY]
    assert "green_tripdata_2022-03.parquet: HTTP 500" in caplog.text


def test_a_file_that_the_server_fails_at_is_not_the_whole_sources_fault(server, source, target):
    server.queued[file_name(MARCH)] = [failing] * 3
    with pytest.raises(CorruptFile, match=r"2022-03\.parquet: HTTP 500, .* while other months are answered for"):
        source.fetch(MARCH, target)
    assert stands_untouched(target)


def test_a_token_in_the_query_stays_behind_the_files_name(server, target):
    UrlSource(f"{server.url}?sig=abc", timeout_s=1, attempts=1).fetch(MARCH, target)
    assert server.asked["GET", f"{file_name(MARCH)}?sig=abc"] == 1


def test_published_survives_a_passing_trouble(server, source):
    server.queued[file_name(MARCH)] = [failing, dropping]

    assert source.published() == [JANUARY, MARCH]


def test_a_store_notices_what_the_server_republishes(server, source, tmp_path):
    store = MonthStore(tmp_path / "months", clean)
    assert store.ingest(source, MARCH).status == "ingested"
    assert store.ingest(source, MARCH).status == "unchanged"
    assert server.asked["GET", file_name(MARCH)] == 1

    server.publish(write_month(tmp_path / "again", [_trip(MARCH, n) for n in range(250)]))
    again = store.ingest(source, MARCH)
    assert (again.status, again.rows_read) == ("republished", 250)
    server.queued[file_name(MARCH)] = [failing] * 3
    assert store.ingest(source, MARCH).rows_read == 250


DECLARED = {
    "name": "shop",
    "event_time": {"column": "at"},
    "target": {"column": "paid"},
    "features": {"price": {"type": "float"}},
}


@pytest.mark.parametrize("name", ["sales.csv.gz", "sales_{period}.csv"])
def test_csv_is_converted_and_one_file_is_downloaded_once(server: FileServer, target: Path, name: str) -> None:
    contract = declaration.parse(DECLARED | {"source": {"files": name}}, "shop.yaml")
    content = "at,paid,price\n2022-03-01T10:00,3,4\n" + "2022-01-01T10:00,1,2\n" * ("{period}" not in name)
    of_month = name.replace("{period}", str(MARCH))
    server.files = {of_month: gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()}
    source = open_source(Data(source=server.url), contract)
    assert MARCH in source.published()
    assert source.fetch(MARCH, target).matches(source.metadata(MARCH))
    rows = [{"at": "2022-03-01T10:00", "paid": 3.0, "price": 4.0}]
    assert pq.read_table(target).to_pylist() == rows
    assert server.asked["GET", of_month] == 1
    server.files = {of_month: b"at,paid\n1,2\n"}
    with pytest.raises((SchemaError, CorruptFile)):
        source.fetch(MARCH, target)
    server.files = {}
    with pytest.raises(SourceUnavailable):
        source.fetch(MARCH, target)
    assert pq.read_table(target).to_pylist() == rows


def test_weeks_of_a_server_become_months(server: FileServer, target: Path) -> None:
    earliest = {"column": "at", "earliest": 2019}
    contract = declaration.parse(
        DECLARED | {"event_time": earliest, "source": {"files": "sales_{period}.csv", "period": "week"}}, "shop.yaml"
    )
    weeks = [week for week in periods_of(Week, 2022) if week.begins.month in (2, 3)]
    server.files = {
        f"sales_{week}.csv": "".join(
            ["at,paid,price\n", *(f"{week.begins + timedelta(days=day)}T10:00,3,4\n" for day in range(7))]
        ).encode()
        for week in weeks
    }
    source = open_source(Data(source=server.url), contract)
    # The first of February is in the week that begins on the last of January.
    assert source.published() == [MARCH]
    asked = {name for _, name in server.asked}
    assert "sales_2021-W01.csv" in asked
    # A year without files ends the search.
    assert "sales_2020-W53.csv" not in asked
    assert source.fetch(MARCH, target) == source.metadata(MARCH)
    times = pq.read_table(target)["at"].to_pylist()
    assert [time.day for time in times] == list(range(1, 32))

    late = server.files.pop("sales_2022-W11.csv")
    with pytest.raises(NotPublished, match=r"2022-03 is not published as a whole: there is no sales_2022-W11.csv"):
        source.metadata(MARCH)
    server.queued["sales_2022-W12.csv"] = [failing] * 3
    server.files["sales_2022-W11.csv"] = late
    with pytest.raises(SourceUnavailable, match=r"sales_2022-W12.csv: HTTP 500"):
        open_source(Data(source=server.url, attempts=1), contract).metadata(MARCH)
