"""Made-up bookings in the form of the published table, offline and from a seed; no row is a copy of a real one.

A scenario changes what is drawn from the start of a month on. What it means for the loop:

    steady     nothing changes but the seasons: any alarm is false
    cancel     concept drift: the odds of a cancellation change by the factor `magnitude` where a booking was made at
               most 30 days ahead, and by its inverse where it was made earlier; bookings stay the same
    mix        data drift: the share `magnitude` of the bookings comes through new online agents, far ahead
    unit       broken data: rates are multiplied by `magnitude` (100: cents where EUR should be)
    nulls      broken data: the share `magnitude` of the bookings has no country
    collapse   broken data: the share `magnitude` of the bookings is lost
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import InputError
from autoops.ingestion.atomic_write import atomic_write
from autoops.months import Month
from autoops.usecases.hotel.prepare import MONTHS
from autoops.usecases.made_up import Magnitudes, magnitude_of

SCENARIOS: Magnitudes = {
    "steady": (0, 0, 0),
    "cancel": (3, 0.05, 20),
    "mix": (0.5, 0, 1),
    "unit": (100, 0.01, 1000),
    "nulls": (0.4, 0, 1),
    "collapse": (0.7, 0, 0.99),
}
FILE = "hotel_bookings.parquet"

SEASON = (0.6, 0.75, 0.95, 1.05, 1.1, 1.05, 1.2, 1.3, 1.05, 1.1, 0.75, 0.75)
"""Arrivals by month of the year, against their mean."""
COUNTRIES = (
    *("PRT", "GBR", "FRA", "ESP", "DEU", "ITA", "IRL", "BEL", "BRA", "NLD", "USA", "CHE", "AUT", "CHN", "SWE", "POL"),
    *("NOR", "FIN", "DNK", "ROU", "RUS", "ISR", "AUS", "AGO", "LUX", "MAR", "TUR", "HUN", "JPN", "CZE", "GRC", "KOR"),
)
SEGMENTS = ("Online TA", "Offline TA/TO", "Groups", "Direct", "Corporate")
CHANNELS = ("TA/TO", "TA/TO", "TA/TO", "Direct", "Corporate")
"""The channel of each segment."""
AGENTS = 60

Draw = np.random.Generator
Values = npt.NDArray[np.float64]


def write_sample(
    directory: Path,
    months: Sequence[Month],
    *,
    rows_per_month: int = 4_000,
    seed: int = 7,
    scenario: str = "steady",
    changes_from: Month | None = None,
    magnitude: float | None = None,
) -> list[Path]:
    """Write a table of all months, some `rows_per_month` by season, as it is published, and return its path in a list.

    A month's rows depend on nothing but the arguments and the month. `changes_from` defaults to the first of `months`,
    `magnitude` to the scenario's own.

    Raises:
        InputError: fewer than 100 rows per month, an unknown scenario, a magnitude that it cannot take, or a table that
            is there already: it might be the real one.
    """
    if rows_per_month < 100:
        raise InputError(f"rows per month: expected at least 100, got {rows_per_month}")
    magnitude = magnitude_of(SCENARIOS, scenario, magnitude)
    path, change = directory / FILE, changes_from or min(months)
    if path.exists():
        raise InputError(f"{path} is there already: name another folder")
    tables = [
        bookings(month, rows_per_month, seed, scenario if month >= change else "steady", magnitude) for month in months
    ]
    with atomic_write(path) as file:
        pq.write_table(pa.concat_tables(tables), file)
    return [path]


def bookings(month: Month, rows: int, seed: int = 7, scenario: str = "steady", magnitude: float = 0) -> pa.Table:
    """Return the bookings that arrive in a month, in the columns of the published table that the declaration reads."""
    draw = np.random.default_rng([seed, month.year, month.month])
    size = round(rows * SEASON[month.month - 1] * draw.uniform(0.95, 1.05))
    season = SEASON[month.month - 1]
    day = draw.integers(1, month.days + 1, size)
    resort = draw.random(size) < 0.34
    segment = draw.choice(len(SEGMENTS), size, p=[0.48, 0.2, 0.15, 0.12, 0.05])
    ahead = np.array([55, 110, 150, 45, 20])[segment] * season * draw.gamma(0.9, 1.1, size)
    # By a power law: a few agents bring most bookings.
    agent = np.minimum(draw.zipf(1.5, size), AGENTS) * 7 + segment
    country = _countries(draw, resort, segment, size)
    if scenario == "mix":
        moved = draw.random(size) < magnitude
        segment, ahead = np.where(moved, 0, segment), np.where(moved, ahead + 120, ahead)
        agent = np.where(moved, draw.integers(900, 910, size), agent)
    lead = np.minimum(ahead, 600).astype(np.int64)
    repeated = draw.random(size) < np.where(segment == 4, 0.2, 0.02)
    cancelled_before = np.where(draw.random(size) < 0.05, draw.geometric(0.7, size), 0)
    requests = np.minimum(draw.poisson(np.where(segment == 0, 0.8, 0.35)), 5)
    adr = (70 + 45 * (season - 1) * (1 + resort) + 12 * (segment == 0)) * draw.lognormal(0, 0.3, size)
    odds = (
        -1.6
        + 0.011 * np.minimum(lead, 250)
        + 0.9 * (country == "PRT")
        + 0.5 * ~resort
        + np.array([0.3, -0.4, 0.5, -0.8, -0.7])[segment]
        + 1.2 * np.minimum(cancelled_before, 2)
        - 0.6 * requests
        - 0.8 * repeated
        + 0.5 * np.sin(agent)
    )
    if scenario == "cancel":
        odds = odds + np.log(magnitude) * np.where(lead > 30, -1, 1)
    cancelled = draw.random(size) < 1 / (1 + np.exp(-odds))
    nights = draw.poisson(2.4 + resort)
    kept_before = np.where(repeated, draw.geometric(0.3, size), 0)
    kept = draw.random(size) >= (magnitude if scenario == "collapse" else 0)
    columns = {
        "hotel": np.where(resort, "Resort Hotel", "City Hotel"),
        "is_canceled": cancelled.astype(np.int64),
        "lead_time": lead,
        "arrival_date_year": np.full(size, month.year),
        "arrival_date_month": np.full(size, MONTHS[month.month - 1]),
        "arrival_date_day_of_month": day,
        "stays_in_weekend_nights": draw.binomial(nights, 2 / 7),
        "stays_in_week_nights": nights,
        "adults": draw.choice([1, 2, 3], size, p=[0.22, 0.72, 0.06]),
        "children": draw.choice([0, 1, 2], size, p=[0.92, 0.05, 0.03]),
        "babies": (draw.random(size) < 0.008).astype(np.int64),
        "meal": draw.choice(["BB", "HB", "SC", "FB"], size, p=[0.77, 0.13, 0.09, 0.01]),
        "market_segment": np.array(SEGMENTS)[segment],
        "distribution_channel": np.array(CHANNELS)[segment],
        "is_repeated_guest": repeated.astype(np.int64),
        "previous_cancellations": cancelled_before,
        "previous_bookings_not_canceled": kept_before,
        "reserved_room_type": draw.choice(list("ADEFG"), size, p=[0.72, 0.17, 0.06, 0.03, 0.02]),
        "customer_type": np.where(segment == 2, "Transient-Party", "Transient"),
        "adr": np.round(adr * (magnitude if scenario == "unit" else 1), 2),
        "total_of_special_requests": requests,
    }
    lost = draw.random(size) < (magnitude if scenario == "nulls" else 0.004)
    table = pa.table(columns)
    table = table.append_column("country", pa.array(country.tolist(), mask=lost))
    # Guests who book themselves have no agent.
    return table.append_column("agent", pa.array(agent.astype(float), mask=segment >= 3)).filter(pa.array(kept))


def _countries(draw: Draw, resort: npt.NDArray[np.bool_], segment: npt.NDArray[np.int64], size: int) -> Values:
    """Return a country for each booking: guests of this one book groups and directly more than others do."""
    weights = 1 / np.arange(1, len(COUNTRIES)) ** 1.1
    others = draw.choice(np.array(COUNTRIES[1:], dtype=object), size, p=weights / weights.sum())
    home = draw.random(size) < 0.28 + 0.25 * (segment >= 2) + 0.05 * resort
    return np.where(home, COUNTRIES[0], others)
