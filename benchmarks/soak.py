"""An hour of everything that clients ask for, at half of what the service can do: `scripts/bench.sh soak`.

`autoops serve` follows an alias in a real MLflow and logs to a PostgreSQL of its own. A mix of single predictions,
batches in each form, ground truth and reads is asked for as fast as it is answered, which is the capacity; then half as
often, paced, while the alias moves three times and the database is stopped and started. In the end each row of the
database is held against what was acknowledged. Ends with 1 where anything acknowledged is lost, doubled or other than
it was answered.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.rotation import rotation
from benchmarks.soaking import report
from benchmarks.soaking.client import FAILURES
from benchmarks.soaking.stage import Plan, soak
from benchmarks.swaps import described
from tests.postgres import PostgresServer

AWAY_S = 60.0
SAMPLE_EVERY_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="at half of capacity")
    parser.add_argument("--capacity", type=float, default=60, help="seconds in which capacity is measured")
    parser.add_argument("--promotions", type=int, default=3)
    parser.add_argument("--samples", type=Path, help="a file for memory and waiting rows over time")
    options = parser.parse_args()
    seconds = options.minutes * 60
    plan = Plan(seconds, options.capacity, min(AWAY_S, seconds / 10), SAMPLE_EVERY_S, options.promotions)
    with PostgresServer() as postgres, tempfile.TemporaryDirectory() as folder, rotation(Path(folder)) as turns:
        print(f"{described()}; models of {turns.model_mb:.1f} MB", flush=True)
        outcome = soak(Path(folder), turns, postgres, plan, partial(print, flush=True))
        print(report.table(outcome), flush=True)
        if options.samples:
            options.samples.write_text(report.samples(outcome))
        if (failures := Path(folder) / "ledger" / FAILURES).exists():
            print(failures.read_text())
    raise SystemExit(0 if outcome.found.perfect else 1)


if __name__ == "__main__":
    main()
