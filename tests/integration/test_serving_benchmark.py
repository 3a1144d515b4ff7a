"""What the study of serving rests on, cut down: its client, its processes, its tables; `benchmarks/serving.py` is the
whole."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import serving_tables
from benchmarks.client import ask, post
from benchmarks.contestants import JSON, NOOP, QUIET
from benchmarks.machine import cores
from benchmarks.servers import Server, running
from tests.eventually import eventually

TRIP = {"trip_distance": 2.3, "pickup_location_id": 74, "dropoff_location_id": 41}
GOOD = post("/predict", JSON, json.dumps(TRIP).encode())
BAD = post("/predict", JSON, json.dumps(TRIP | {"trip_distance": -1}).encode())
COMMAND = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.noop:create", *QUIET]


def test_the_client_counts_what_is_answered_and_stops_at_what_is_refused() -> None:
    server = Server(NOOP, lambda port: [*COMMAND, "--port", str(port)], [GOOD])
    with running(server, cores().worker) as up:
        window = ask([up.port], [GOOD], 4, 0.5)
        assert window.rate == len(window.seconds) / window.lasted_s > 0
        assert up.memory_mb > 10
        assert 0 < up.cpu_s < 60
        with pytest.raises(SystemExit, match="422"):
            ask([up.port], [GOOD, BAD], 4, 0.5)
        pid = up.process.pid
        with up.awake():
            assert psutil.Process(pid).status() != psutil.STATUS_STOPPED
        eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    assert not Path(f"/proc/{pid}").exists()


def figures() -> dict[str, object]:
    """Of a run with two rounds and without MLServer."""
    rates = {"Auto-Ops": 1900.0, NOOP: 3800.0, "mlflow models serve": 38.0, "naive FastAPI": 60.0}
    single = {
        name: {
            "rate": [rate, rate * 1.2],
            "p50_ms": [1.0, 1.1],
            "p99_ms": [2.0, 2.2],
            "cpu_ms": [0.1, 0.1],
            "client_busy": [0.2, 0.3],
        }
        for name, rate in rates.items()
    }
    forms = {"JSON rows": 700.0, "JSON columns": 850.0, "Arrow": 960.0}
    batches = {
        f"Auto-Ops, {form}, {n}": {"rate": [rate], "beside": [1000.0]} for form, rate in forms.items() for n in (1, 8)
    }
    return {
        "machine": {
            "taken_at": "2026-01-01 00:00 UTC",
            "cpu": "a CPU",
            "cores": 4,
            "memory_gib": 8,
            "system": "Linux 6.1",
            "python": "3.11.7",
            "versions": {"fastapi": "0.130"},
            "load_before": 0.1,
        },
        "load_after": 1.0,
        "window_s": 10,
        "cores_of_worker": 1,
        "model": {"trained_on": "a month", "megabytes": 20.0},
        "missing": {"MLServer": "no such version"},
        "cold_start_s": {name: [1.5, 1.6] for name in rates},
        "memory_mb": dict.fromkeys(rates, 100.0),
        "single": {"1": single, "32": single},
        "batches": {"1": batches},
    }


def test_the_tables_stand_in_the_document_and_what_the_readme_says_is_theirs(tmp_path: Path) -> None:
    document, readme = tmp_path / "serving.md", tmp_path / "README.md"
    document.write_text(f"before\n{serving_tables.BEGIN}\nstale\n{serving_tables.END}\nafter\n")
    readme.write_text("| a | b | `c` |\n| old | 1 | `./scripts/bench.sh serving` |\n| d | e | `f` |\n")
    for _ in range(2):
        serving_tables.write(figures(), document, readme)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{serving_tables.END}\nafter\n")
    assert "stale" not in text
    assert "| MLServer | not installed: no such version |" in text
    assert "| requests per second on 1 connection, times those of `mlflow models serve` | ≥ 50 | 50 | met |" in text
    assert "| batches, JSON rows, 1 thread, share of the kernel | ≥ 0.8 | 0.70 | **missed** |" in text
    first, *ours, last = readme.read_text().splitlines()
    assert (first, last) == ("| a | b | `c` |", "| d | e | `f` |")
    assert [row.split(" | ")[1].partition(" ")[0] for row in ours] == ["50", "0.50", "JSON"]


def test_what_the_readme_says_of_serving_stands_in_its_document() -> None:
    root = Path(__file__).parents[2]
    document = (root / "docs" / "serving.md").read_text()
    said = [line for line in (root / "README.md").read_text().splitlines() if serving_tables.COMMAND in line]
    assert said
    for row in said:
        assert f"{row.partition(' | `./')[0]} |" in document
