"""Which published months a retraining is given where nobody says which."""

import logging
from datetime import datetime

from autoops.errors import DataError, NotPublished
from autoops.loop.pipeline import Pipeline
from autoops.loop.validation import newest_usable
from autoops.months import Month

logger = logging.getLogger(__name__)


def reaches(published: list[Month], evidence_until: datetime | None) -> bool:
    """Whether the months that are out contain the whole evidence of an incident."""
    return evidence_until is None or any(evidence_until < month.ends_at for month in published)


def newest_window(pipeline: Pipeline, evidence_until: datetime | None, actor: str) -> list[Month]:
    """Without months that are quarantined, unless there are no others: then the steps say what is wrong with them."""
    published, count = pipeline.source.published(), pipeline.settings.training.window_months
    if not published:
        raise NotPublished(f"{pipeline.settings.data.source} holds no month to train on")
    if not reaches(published, evidence_until):
        raise NotPublished(f"the newest published month is {published[-1]}; the incident reaches {evidence_until}")
    try:
        usable = newest_usable(pipeline, published, count, actor)
    except DataError as error:
        logger.warning("what is published cannot be looked through: %s", error)
        return published[-count:]
    if usable and not reaches(usable, evidence_until):
        raise NotPublished(f"the month that the incident reaches, {evidence_until}, is quarantined")
    return usable or published[-count:]
