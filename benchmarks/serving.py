"""What serving costs, next to an endpoint that does nothing and to what others set up: `scripts/bench.sh serving`.

All servers answer with the same forest. Rounds of all of them alternate, so that ratios hold whatever else the machine
is doing; where there are cores enough, server and client have cores of their own. `--write` puts the tables into
docs/serving.md and README.md.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import batches, machine, serving_tables, single_rows
from benchmarks.champion import champion
from benchmarks.contestants import installed, noop, ours

ROOT = Path(__file__).parents[1]
FIGURES, DOCUMENT, README = ROOT / "docs" / "serving.json", ROOT / "docs" / "serving.md", ROOT / "README.md"
BATCH_ROUNDS = 8
BATCH_THREADS = (1, 2)
BEGAN = time.monotonic()


def tell(line: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"{minutes:2}:{seconds:02}  {line}", flush=True)


def measure(home: Path, source: str | None, cores: machine.Cores, rounds: int, window_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": machine.described(), "window_s": window_s, "cores_of_worker": len(cores.worker)}
    tell("training the model")
    with champion(home, source) as model, machine.pinned(cores.client):
        found["model"] = {"trained_on": model.trained_on, "megabytes": model.model_mb}
        peers, found["missing"] = installed(model)
        servers = [ours(model), noop(model), *peers]
        found["cold_start_s"] = single_rows.cold_starts(servers, cores, rounds, tell)
        found["single"], found["memory_mb"] = single_rows.measure(servers, cores, rounds, window_s, tell)
        found["batches"] = {
            str(threads): batches.measure(model, peers if threads == 1 else [], threads, cores, BATCH_ROUNDS, tell)
            for threads in BATCH_THREADS
            if threads <= len(cores.many)
        }
    return found | {"load_after": round(os.getloadavg()[0], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default=os.environ.get("AUTOOPS_TLC_DIR"), help="folder of real months")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=float, default=10, help="seconds of each server, number of connections, round")
    parser.add_argument("--worker-cores", type=int, default=1, help="that each server has for single rows")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--figures", type=Path, help="measure nothing: the tables of figures that were kept")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the figures and the tables in docs/, and what the README says of them",
    )
    options = parser.parse_args()
    if options.figures:
        found = json.loads(options.figures.read_text())
    else:
        (ROOT / "var").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT / "var", prefix="serving-") as folder:
            cores = machine.cores(options.worker_cores)
            found = measure(Path(folder), options.source, cores, options.rounds, options.window)
    for path in [options.json] * bool(options.json) + [FIGURES] * options.write:
        path.write_text(json.dumps(found, indent=1) + "\n")
    print(serving_tables.page(found), flush=True)
    if options.write:
        serving_tables.write(found, DOCUMENT, README)


if __name__ == "__main__":
    main()
