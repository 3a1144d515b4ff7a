"""The months of a retraining where no person named any, and the source of their rows (`training.source`)."""

import logging
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from autoops.cadence import SPARSE
from autoops.errors import DataError, NotPublished
from autoops.loop.context import Context
from autoops.loop.data import labelled_log, maturity
from autoops.loop.data.validation import newest_usable, usable, usable_months
from autoops.models.registry import CHAMPION
from autoops.months import Month

logger = logging.getLogger(__name__)

A_YEAR = 12
"""Months, which know each season."""


@dataclass(frozen=True)
class Months:
    """Months to train on; `logged` are those of `all` that come from the log, all newer than the published ones."""

    all: list[Month]
    logged: list[Month] = field(default_factory=list)

    @property
    def source(self) -> str:
        """Return where the rows come from: "months" (published ones), "log" or "both"."""
        return "months" if not self.logged else "both" if self.published else "log"

    @property
    def published(self) -> list[Month]:
        """Return the months whose rows come from the source, in the order of `all`."""
        return [month for month in self.all if month not in self.logged]


def source_of(context: Context) -> str:
    """Return `training.source`, or "months" without a champion, because then no predictions have been logged."""
    return context.settings.training.source if context.registry.by_alias(CHAMPION) else "months"


def load(context: Context, months: Months) -> pd.DataFrame:
    """Return the rows of the months with the ground truth, as a frame in event order."""
    parts = []
    if months.published:
        parts.append(maturity.mature(context.store.load(months.published), maturity.published_until(context)))
    if months.logged:
        parts.append(labelled_log.rows_of(context, months.logged))
    return pd.concat(parts, ignore_index=True).sort_values("event_at", kind="stable", ignore_index=True)


def reaches(context: Context, published: list[Month], evidence_end: datetime | None) -> bool:
    """Return whether the published months contain the whole evidence of an incident."""
    if evidence_end is None:
        return True
    zone, until = context.contract.zone, maturity.published_until(context)
    is_mature = until is None or evidence_end <= until
    return is_mature and any(evidence_end < month.ends_in(zone) for month in published)


def known_months(context: Context) -> list[Month]:
    """Return the whole months that may be trained on, as far as that is known without fetching any.

    A month of the log is whole when labels of a later one have arrived.
    """
    source = source_of(context)
    published = maturity.whole(context, usable_months(context)) if source != "log" else []
    return [*published, *_newer(published, _logged(context)[:-1])]


def answers(context: Context, evidence_end: datetime | None) -> bool:
    """Return whether a retraining could begin with data that contains the whole evidence of an incident."""
    source = source_of(context)
    published = usable_months(context) if source != "log" else []
    return reaches(context, published, evidence_end) or (source != "months" and _labelled_until(context, evidence_end))


def given(context: Context, months: list[Month]) -> Months:
    """Return the months that a person named: published ones, unless only the log is trained on."""
    return Months(months, months if source_of(context) == "log" else [])


def newest_window(context: Context, evidence_end: datetime | None, actor: str) -> Months:
    """Return the newest months that `training.source` has: `training.window_months`, or a year's of a sparse table.

    Raises:
        NotPublished: there are none, or they do not contain the evidence.
    """
    count, source = context.settings.training.window_months, source_of(context)
    if source == "months":
        return Months(_newest_published(context, evidence_end, count, actor))
    out = maturity.begun(context, context.source.published()) if source == "both" else []
    published = _newest_usable(context, out, count, actor)
    count = max(count, len(published))
    # The log's newest month is used although it is not over; `known_until` says how far it goes.
    logged = _newer(published, _logged(context))
    if not [*published, *logged]:
        raise NotPublished(f"the log holds no labelled {context.contract.row} to train on")
    if not (reaches(context, published, evidence_end) or _labelled_until(context, evidence_end)):
        raise NotPublished(f"the labelled log does not reach {evidence_end}, to which the incident does")
    chosen = [*published, *logged][-count:]
    return Months(chosen, [month for month in logged if month in chosen])


def known_until(context: Context, months: Months) -> datetime:
    """Return the event time that the rows of the months reach; the log's newest month is probably not over."""
    labelled = labelled_log.labelled_until(context) if months.logged else None
    ends_at, until = months.all[-1].ends_in(context.contract.zone), maturity.published_until(context)
    return labelled or (ends_at if until is None else min(ends_at, until))


def months_since(context: Context, first: Month, actor: str) -> Months:
    """Return all whole months from `first` on that may be used."""
    source = source_of(context)
    out = [month for month in context.source.published() if month >= first] if source != "log" else []
    published = usable(context, maturity.whole(context, out), actor)
    logged = [month for month in _newer(published, _logged(context)[:-1]) if month >= first]
    return Months([*published, *logged], logged)


def _logged(context: Context) -> list[Month]:
    return labelled_log.logged_months(context) if source_of(context) != "months" else []


def _newer(published: list[Month], logged: list[Month]) -> list[Month]:
    return [month for month in logged if not published or month > published[-1]]


def _labelled_until(context: Context, evidence_end: datetime | None) -> bool:
    if evidence_end is None:
        return True
    known_until = labelled_log.labelled_until(context)
    return known_until is not None and known_until >= evidence_end


def _newest_published(context: Context, evidence_end: datetime | None, count: int, actor: str) -> list[Month]:
    """Return the newest published months that are not quarantined.

    If there are no others, return quarantined ones: the steps then report what is wrong with them.

    Raises:
        NotPublished: there are none, or they do not contain the evidence.
    """
    published = context.source.published()
    if not published:
        raise NotPublished(f"{context.settings.data.source} holds no month to train on")
    newest, published = published[-1], maturity.begun(context, published)
    if not published:
        days = context.contract.target.matures_after_days
        raise NotPublished(f"no published {context.contract.row} is {days:g} days old (target.matures_after_days)")
    if not reaches(context, published, evidence_end):
        raise NotPublished(f"the newest published month is {newest}; the incident reaches {evidence_end}")
    try:
        found = _newest_usable(context, published, count, actor)
    except DataError as error:
        # The step that fetches them fails then, and its failure is recorded with the incident.
        logger.warning("what is published cannot be looked through: %s", error)
        return published[-count:]
    if found and not reaches(context, found, evidence_end):
        raise NotPublished(f"the month that the incident reaches, {evidence_end}, is quarantined")
    return found or published[-count:]


def _newest_usable(context: Context, months: list[Month], count: int, actor: str) -> list[Month]:
    """Return the newest `count` months that are not quarantined, and a year of a table with few rows a day.

    A few months of such a table are few windows: their limits are wide, and each new season would be drift.
    """
    found = newest_usable(context, months, count, actor)
    stored = [known for month in found if (known := context.store.get(month))]
    sparse = sum(known.rows for known in stored) < SPARSE * sum(known.month.days for known in stored)
    return newest_usable(context, months, A_YEAR, actor) if sparse and count < A_YEAR else found
