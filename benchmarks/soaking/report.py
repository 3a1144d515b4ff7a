"""The figures of a soak, as tables."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.soaking import mix
from benchmarks.soaking.audit import Kept
from benchmarks.soaking.ledger import NO_ANSWER, WRONG, Arrays
from benchmarks.soaking.stage import Outcome, Sample

SETTLED_S = 10.0
"""After a version answers."""


def failures(asked: Arrays) -> Counter[str]:
    """Requests that were not answered 2xx, by kind and status."""
    statuses = asked.answers["status"]
    failed = np.flatnonzero((statuses < 200) | (statuses > 299))
    return Counter(f"{mix.CYCLE[number % mix.REQUESTS][0]} {_said(statuses[number])}" for number in failed.tolist())


def _said(status: int) -> str:
    return {0: "never asked", NO_ANSWER: "no answer", WRONG: "wrong answer"}.get(int(status), str(status))


def table(outcome: Outcome) -> str:
    rows = [*_load(outcome), *_kept(outcome), *_events(outcome), *_memory(outcome)]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _load(outcome: Outcome) -> list[tuple[str, str]]:
    capacity, load, first = outcome.capacity, outcome.load, outcome.capacity.requests
    seconds = outcome.asked.answers["seconds"][first:] * 1e3
    failed = failures(outcome.asked)
    rows = mix.TRIPS / mix.REQUESTS
    full = capacity.requests / capacity.lasted_s
    kinds = ", ".join(f"{count} x {kind}" for kind, count in failed.most_common())
    return [
        ("capacity of the mix", f"{full:,.0f} requests/s, {full * rows:,.0f} predictions/s"),
        ("load", f"{outcome.rate:,.0f} requests/s for {load.lasted_s:,.0f} s; client busy {load.busy:.0%}"),
        ("requests, with those that measured capacity", f"{load.requests:,}"),
        ("answered other than 2xx", f"{sum(failed.values())}: {kinds}" if failed else "0"),
        ("latency, median and p99", _latency(outcome, lambda at: ~_is_away(outcome, at))),
        ("the same while the database is away", _latency(outcome, lambda at: _is_away(outcome, at))),
        ("slowest", f"{seconds.max():,.0f} ms"),
    ]


def _is_away(outcome: Outcome, at_s: Any) -> Any:
    since, until = outcome.happened.away
    return (at_s >= since) & (at_s < until)


def _latency(outcome: Outcome, when: Callable[[Any], Any]) -> str:
    """From when a request was due."""
    seconds = outcome.asked.answers["seconds"][outcome.capacity.requests :]
    picked = seconds[when(np.arange(len(seconds)) / outcome.rate)]
    p50, p99 = np.percentile(picked, [50, 99]) * 1e3
    return f"{p50:.1f} ms, {p99:.1f} ms"


def _kept(outcome: Outcome) -> list[tuple[str, str]]:
    found = outcome.found
    return [
        ("predictions", _said_of(found.predictions)),
        ("labels", f"{_said_of(found.labels)}; {found.miscounted} trips with another label than their last"),
        ("after SIGTERM", f"exit code {outcome.exit_code}, {outcome.outboxes_left} outboxes left"),
    ]


def _said_of(kept: Kept) -> str:
    faults = f"{kept.lost} lost, {kept.doubled} doubled, {kept.wrong} other than answered"
    return f"{kept.acknowledged:,} acknowledged: {faults}"


def _events(outcome: Outcome) -> list[tuple[str, str]]:
    happened = outcome.happened
    since, until = happened.away
    waiting = max((sample.waiting_rows for sample in happened.samples), default=0)
    drained = [sample.at_s - until for sample in happened.samples if sample.at_s > until and not sample.waiting_rows]
    back = f"drained {drained[0]:.1f} s after" if drained else "drained after the load"
    promoted = ", ".join(f"{one.number} at {one.at_s:,.0f} s after {one.took_s:.1f} s" for one in happened.promoted)
    answered = ", ".join(f"{number}: {count:,}" for number, count in outcome.found.by_version.items())
    return [
        ("database away", f"from {since:,.0f} s to {until:,.0f} s; at most {waiting:,} rows waited, {back}"),
        ("versions served", promoted),
        ("predictions by version", answered),
    ]


def thirds(outcome: Outcome) -> tuple[float, float]:
    """Memory in the first and in the last third of the time, in MB."""
    samples = outcome.happened.samples
    third = len(samples) // 3
    return _median(samples[:third]), _median(samples[-third:])


def _memory(outcome: Outcome) -> list[tuple[str, str]]:
    """From the first promotion on two versions are resident, the one that answers and the one before."""
    first, last = thirds(outcome)
    most = max(sample.memory_mb for sample in outcome.happened.samples)
    stretches = [part for part in _stretches(outcome) if len(part) > 1]
    levels = ", ".join(f"{_median(part):.0f}" for part in stretches)
    slopes = ", ".join(f"{_slope(part) * 3600:+.1f}" for part in stretches)
    return [
        ("memory, first and last third", f"{first:.0f} MB, {last:.0f} MB; at most {most:.0f} MB"),
        ("before, between and after the promotions", f"{levels} MB"),
        ("its slope there", f"{slopes} MB an hour"),
    ]


def _stretches(outcome: Outcome) -> list[list[Sample]]:
    """Between promotions, without the moments that a new version takes to be loaded."""
    promoted = outcome.happened.promoted
    begins = [0.0, *(one.at_s + one.took_s + SETTLED_S for one in promoted)]
    ends = [*(one.at_s for one in promoted), math.inf]
    return [[s for s in outcome.happened.samples if a <= s.at_s < b] for a, b in zip(begins, ends, strict=True)]


def _slope(samples: Sequence[Sample]) -> float:
    """MB a second."""
    return statistics.linear_regression([s.at_s for s in samples], [s.memory_mb for s in samples]).slope


def _median(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.memory_mb for sample in samples)


def samples(outcome: Outcome) -> str:
    """As CSV."""
    lines = [f"{s.at_s:.1f},{s.memory_mb:.1f},{s.waiting_rows}" for s in outcome.happened.samples]
    return "\n".join(["seconds,memory_mb,waiting_rows", *lines, ""])
