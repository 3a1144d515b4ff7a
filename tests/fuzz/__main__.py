"""`scripts/test.sh fuzz`: asks until so many requests were answered, mutates so many Arrow streams, prints what came of
it, and exits 1 where an answer was 5xx or not as the document says."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz import api, streams

EXAMPLES = 1100
"""Per operation and round."""


def main() -> int:
    options = _options()
    outcome = _ask(options.requests, options.seed)
    for (route, status), count in sorted(outcome.answers.items()):
        print(f"{count:>8,} {status} {route}")
    checks = "passed" if outcome.held else "did not pass"
    print(f"{outcome.requests:,} requests, {outcome.server_errors} server errors; the checks {checks}", flush=True)
    mutated = streams.mutate(options.streams, options.seed)
    refused = ", ".join(f"{count:,} {what}" for what, count in mutated.most_common())
    print(f"{mutated.total():,} mutated Arrow streams: {refused}")
    return 0 if outcome.held and not outcome.server_errors else 1


def _ask(least: int, seed: int) -> api.Outcome:
    outcome = api.Outcome()
    with tempfile.TemporaryDirectory(prefix="autoops-fuzz-") as home, api.served(Path(home)) as url:
        while outcome.held and outcome.requests < least:
            print(f"a round with seed {seed}", flush=True)
            found = api.ask(url, Path(home), EXAMPLES, seed)
            outcome = api.Outcome(found.held, outcome.answers + found.answers)
            seed += 1
    return outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/test.sh fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="at least so many (%(default)s)")
    parser.add_argument("--streams", type=int, default=200_000, help="mutated Arrow streams (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="another for each run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
