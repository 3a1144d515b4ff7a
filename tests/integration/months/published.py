"""Months of 2022, some of them published in part, and what checks left of them."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.months import Month

APRIL, MAY, JUNE = Month(2022, 4), Month(2022, 5), Month(2022, 6)


def publish_part(world: Path, directory: Path, month: Month, days: int) -> None:
    """The first days of a month only."""
    table = pq.read_table(world / file_name(month))
    until = np.datetime64(f"{month}-01") + np.timedelta64(days, "D")
    early = table["lpep_pickup_datetime"].to_numpy() < until
    pq.write_table(table.filter(early), directory / "published" / file_name(month))


def spans(context: Context, month: Month) -> list[tuple[datetime, datetime, int]]:
    """What checks have judged of a month, oldest first."""
    kept = [check.report for check in context.checks.latest(judged=True, limit=100)[::-1]]
    kept = [report["span"] for report in kept if report["source"] == str(month)]
    return [(datetime.fromisoformat(s["begin"]), datetime.fromisoformat(s["end"]), s["rows"]) for s in kept]


def verdicts(found: dict[str, object]) -> list[str]:
    return [window["verdict"] for window in found["windows"]]
