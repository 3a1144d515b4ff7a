"""The figures of `benchmarks.serving` as tables: on the terminal, in docs/serving.md and in README.md."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.batches import CONNECTIONS as BATCH_CONNECTIONS
from benchmarks.batches import KERNEL, Rates
from benchmarks.contestants import MLFLOW, NOOP, OURS, ROWS

BEGIN, END = "<!-- figures of scripts/bench.sh serving -->", "<!-- end of figures -->"
COMMAND = "`./scripts/bench.sh serving`"
LEAST = {"JSON rows": 0.8, "JSON columns": 0.8, "Arrow": 0.95}
"""The bar of each form of batches."""

Found = Mapping[str, Any]


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """Of the medians of all rounds."""
    return statistics.median(of) / statistics.median(to)


def share(way: Mapping[str, Sequence[float]]) -> list[float]:
    """Of the kernel's rows per second right before and after, by round."""
    return [rate / beside for rate, beside in zip(way["rate"], way["beside"], strict=True)]


def _best(rates: Rates, form: str) -> float:
    """Over the numbers of connections."""
    return max(statistics.median(share(rates[f"{OURS}, {form}, {n}"])) for n in BATCH_CONNECTIONS)


def _spread(values: Sequence[float], form: str) -> str:
    """The median and, of several, the least and the most."""
    middle = f"{statistics.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"


def _ratio_with_spread(of: Sequence[float], to: Sequence[float]) -> str:
    within = [one / other for one, other in zip(of, to, strict=True)]
    middle = f"{ratio(of, to):.2f}"
    return middle if len(within) == 1 else f"{middle} ({min(within):.2f} to {max(within):.2f})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"
    return "\n".join([f"| {' | '.join(header)} |", line, *(f"| {' | '.join(row)} |" for row in rows)])


def page(found: Found) -> str:
    parts = [_machine(found), _table(["in short", ""], [list(row) for row in readme_rows(found)])]
    parts += ["### The bar", _bar(found)]
    for connections, figures in found["single"].items():
        plural = "s" if connections != "1" else ""
        parts += [f"### One row a request, {connections} connection{plural}", _single(figures, found["missing"])]
    for threads, rates in found["batches"].items():
        plural = "s" if threads != "1" else ""
        parts += [f"### Batches of {ROWS} rows, {threads} thread{plural}", _batches(rates)]
    parts += ["### Cold start and memory", _footprint(found)]
    return "\n\n".join(parts)


def _machine(found: Found) -> str:
    machine, model = found["machine"], found["model"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    busiest = max(
        busy for figures in found["single"].values() for server in figures.values() for busy in server["client_busy"]
    )
    worker, rounds = found["cores_of_worker"], len(found["single"]["1"][OURS]["rate"])
    return " ".join(
        [
            f"Taken {machine['taken_at']} on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB,",
            f"{machine['system']}, Python {machine['python']}, {versions};",
            f"load average {machine['load_before']} before, {found['load_after']} after.",
            f"The model: {model['trained_on']}, {model['megabytes']:.0f} MB as ONNX.",
            f"Single rows: {worker} core{'s'[: worker > 1]} for the server,",
            f"{rounds} windows of {found['window_s']:g} s,",
            f"medians with the least and the most. The client was busy for {busiest:.0%} of its core at most.",
        ]
    )


def bars(found: Found) -> Iterator[tuple[str, float, float]]:
    """What is promised, the least that will do, and what was measured."""
    one, many = found["single"]["1"], found["single"]["32"]
    if MLFLOW in one:
        what = f"requests per second on 1 connection, times those of `{MLFLOW}`"
        yield what, 50, ratio(one[OURS]["rate"], one[MLFLOW]["rate"])
    what = f"requests per second on 32 connections, share of a {NOOP}"
    yield what, 0.5, ratio(many[OURS]["rate"], many[NOOP]["rate"])
    for threads, rates in found["batches"].items():
        for form, least in LEAST.items():
            what = f"batches, {form}, {threads} thread{'s'[: threads != '1']}, share of the kernel"
            yield what, least, _best(rates, form)


def _bar(found: Found) -> str:
    rows = [
        [what, f"≥ {least:g}", f"{got:.2f}" if got < 10 else f"{got:.0f}", "met" if got >= least else "**missed**"]
        for what, least, got in bars(found)
    ]
    return _table(["", "the bar", "measured", ""], rows)


def _single(figures: Mapping[str, Mapping[str, Sequence[float]]], missing: Mapping[str, str]) -> str:
    rows = [
        [
            name,
            _spread(of["rate"], ",.0f"),
            _ratio_with_spread(of["rate"], figures[NOOP]["rate"]),
            f"{ratio(of['rate'], figures[MLFLOW]['rate']):.1f}" if MLFLOW in figures else "",
            _spread(of["p50_ms"], ".2f"),
            _spread(of["p99_ms"], ".2f"),
            _spread(of["cpu_ms"], ".2f"),
        ]
        for name, of in figures.items()
    ]
    rows += [[name, f"not installed: {why}", "", "", "", "", ""] for name, why in missing.items()]
    return _table(["", "requests/s", "share of no-op", f"times `{MLFLOW}`", "median ms", "p99 ms", "CPU ms"], rows)


def _batches(rates: Rates) -> str:
    theirs = next((way["rate"] for name, way in rates.items() if name.startswith(MLFLOW)), None)
    in_process = [rate for way in rates.values() for rate in way["beside"]]
    rows = [[KERNEL, _spread(in_process, ",.0f"), "1.00", f"{ratio(in_process, theirs):.2f}" if theirs else ""]]
    rows += [
        [
            name.replace(f", {BATCH_CONNECTIONS[0]}", ", 1 connection").replace(", 8", ", 8 connections"),
            _spread(way["rate"], ",.0f"),
            _spread(share(way), ".2f"),
            f"{ratio(way['rate'], theirs):.2f}" if theirs else "",
        ]
        for name, way in rates.items()
    ]
    return _table(["", "rows/s", "share of in process", f"times `{MLFLOW}`"], rows)


def _footprint(found: Found) -> str:
    rows = [
        [name, _spread(seconds, ".1f"), f"{found['memory_mb'][name]:.0f}"]
        for name, seconds in found["cold_start_s"].items()
    ]
    return _table(["", "start to first answer, s", "memory after the load, MB"], rows)


def write(found: Found, document: Path, readme: Path) -> None:
    """Between the markers of the document, and in place of the README's rows that name the command."""
    text = document.read_text()
    head, _, rest = text.partition(BEGIN)
    document.write_text(f"{head}{BEGIN}\n\n{page(found)}\n\n{END}{rest.partition(END)[2]}")
    rows = "".join(
        f"| {what} | {figure} | {COMMAND}; [more](docs/serving.md) |\n" for what, figure in readme_rows(found)
    )
    named = rf"(?:^\|[^\n]*\| {re.escape(COMMAND)}[^\n]*\|\n)+"
    readme.write_text(re.sub(named, lambda _: rows, readme.read_text(), count=1, flags=re.MULTILINE))


def readme_rows(found: Found) -> Iterator[tuple[str, str]]:
    """What is said in short; a machine that was busy with other things is no place to take figures, and they say so."""
    machine = found["machine"]
    busy = machine["load_before"] > machine["cores"] / 2
    doubt = f" (preliminary: load average {machine['load_before']} before)" if busy else ""
    for what, figure in _in_short(found):
        yield what, figure + doubt


def _in_short(found: Found) -> Iterator[tuple[str, str]]:
    one, many = found["single"]["1"], found["single"]["32"]
    if MLFLOW in one:
        what = f"single predictions on one connection, logged and committed, against `{MLFLOW}` with the same forest"
        yield what, f"{ratio(one[OURS]['rate'], one[MLFLOW]['rate']):.0f} × its requests per second"
    figure = f"{ratio(many[OURS]['rate'], many[NOOP]['rate']):.2f} of its requests per second"
    yield "the same on 32 connections, against a FastAPI endpoint that does nothing", figure
    rates = found["batches"]["1"]
    shares = ", ".join(f"{form} {_best(rates, form):.2f}" for form in LEAST)
    yield f"batches of {ROWS} rows against the model in process, one thread each", f"{shares} of its rows per second"
