"""scripts/months.sh against a web server with the TLC's paths."""

import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "months.sh"
ZONES = "taxi_zone_lookup.csv"
MONTHS = [f"{year}-{month:02d}" for year, newest in ((2022, 12), (2023, 6)) for month in range(1, newest + 1)]


class Publisher(ThreadingHTTPServer):
    """Serves `root`, and notes what it was asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, list[str]()
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(root)))

    def fetch_into(self, directory: Path) -> subprocess.CompletedProcess[str]:
        address = f"http://127.0.0.1:{self.server_port}"
        direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return subprocess.run([SCRIPT, directory, address], env=direct, capture_output=True, text=True)


class Handler(SimpleHTTPRequestHandler):
    server: Publisher

    def log_message(self, *_: object) -> None:
        self.server.asked.append(self.path)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    files = {Path("misc", ZONES), *(Path("trip-data", f"green_tripdata_{month}.parquet") for month in MONTHS)}
    for path in files:
        (tmp_path / "tlc" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tlc" / path).write_text(f"what {path.name} holds")
    with Publisher(tmp_path / "tlc") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_months_and_zones_are_fetched_once(publisher: Publisher, tmp_path: Path) -> None:
    for _ in range(2):
        assert publisher.fetch_into(tmp_path / "here").returncode == 0
    found = {path.name: path.read_text() for path in (tmp_path / "here").iterdir()}
    assert found == {path.name: path.read_text() for path in publisher.root.rglob("*.*")}
    assert len(found) == len(publisher.asked) == 19


def test_a_month_that_is_not_there_ends_it_and_leaves_nothing_half(publisher: Publisher, tmp_path: Path) -> None:
    missing = publisher.root / "trip-data" / "green_tripdata_2022-03.parquet"
    missing.unlink()
    done = publisher.fetch_into(tmp_path / "here")
    assert done.returncode != 0
    assert "404" in done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "green_tripdata_2022-01.parquet",
        "green_tripdata_2022-02.parquet",
        ZONES,
    ]
