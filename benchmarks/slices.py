"""How well a model serves which trips: where they begin and end, when, how far, and how well known the place is."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from autoops.usecase.columns import columns_of
from benchmarks.origins import Minutes, Origin
from tests.taxi import CONTRACT, segments_of

ZONES = "taxi_zone_lookup.csv"
"""The TLC's own table of zones, beside the months."""
KNOWN, HARDLY_KNOWN = 1_000, 100
"""Trips from a zone in three months."""
LEAST_TRIPS = 500


@dataclass(frozen=True)
class Slice:
    """`signed` is positive where the model predicts too long; `simple` is the error of the hour's median pace."""

    name: str
    trips: int
    minutes: float
    error: float
    signed: float
    simple: float

    @property
    def relative(self) -> float:
        return self.error / self.minutes


def slices(walked: Sequence[Origin], answered: Minutes, simply: Minutes, zones: Path | None = None) -> list[Slice]:
    """Of all served trips together, those with enough trips; `zones` is the table that names the boroughs."""
    truth = np.concatenate([origin.truth for origin in walked])
    found: dict[str, list[np.ndarray]] = {}
    for origin in walked:
        for name, rows in _named(origin, zones):
            found.setdefault(name, []).append(rows)
    masks = {name: np.concatenate(parts) for name, parts in found.items()}
    return [_slice(name, rows, truth, answered, simply) for name, rows in masks.items() if rows.sum() >= LEAST_TRIPS]


def _slice(name: str, rows: np.ndarray, truth: Minutes, answered: Minutes, simply: Minutes) -> Slice:
    off = (answered - truth)[rows]
    simple = np.abs(simply - truth)[rows].mean()
    return Slice(name, int(rows.sum()), truth[rows].mean(), np.abs(off).mean(), off.mean(), simple)


def _named(origin: Origin, zones: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    yield "all", np.ones(len(origin.served), dtype=bool)
    if zones is not None:
        yield from _boroughs(origin.served, zones)
    yield from _by_acquaintance(origin)
    yield from segments_of(columns_of(origin.served), list(CONTRACT.segments)).items()


def _boroughs(trips: pd.DataFrame, zones: Path) -> Iterator[tuple[str, np.ndarray]]:
    with zones.open(newline="") as file:
        borough = {int(row["LocationID"]): row["Borough"] for row in csv.DictReader(file)}
    for end in ("pickup", "dropoff"):
        there = trips[f"{end}_location_id"].map(borough)
        for name in sorted(set(borough.values())):
            yield f"{end} in {name}", (there == name).to_numpy()


def _by_acquaintance(origin: Origin) -> Iterator[tuple[str, np.ndarray]]:
    seen = origin.fitted["pickup_location_id"].value_counts()
    known = origin.served["pickup_location_id"].map(seen).fillna(0).to_numpy()
    yield f"pickup zone with {KNOWN} trips or more to learn from", known >= KNOWN
    yield f"pickup zone with {HARDLY_KNOWN} to {KNOWN}", (known >= HARDLY_KNOWN) & (known < KNOWN)
    yield f"pickup zone with fewer than {HARDLY_KNOWN}", known < HARDLY_KNOWN
