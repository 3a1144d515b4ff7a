"""One `pickup_at`: what a client may send, and what it means."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from autoops.months import NEW_YORK, Month

EARLIEST, LATEST = Month(2009, 1).starts_at, Month(2099, 12).ends_at
"""What `pickup_at` may be: the first included, the last not."""

OUT_OF_RANGE = "expected a moment in 2009 to 2099, New York time"


def parse_moment(value: object) -> datetime:
    """ISO 8601 to UTC. Without an offset it is New York's wall clock: of an hour that occurs twice the first,
    and a time that the spring change skips is as many minutes after the change as it is into the gap."""
    if not isinstance(value, str) or len(value) < len("2023-01-15T09"):
        raise PydanticCustomError("moment", "expected date and time in ISO 8601, such as 2023-01-15T09:30:00")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("moment", "not a valid date and time in ISO 8601") from None
    if EARLIEST.year - 1 <= moment.year <= LATEST.year + 1:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=NEW_YORK)
        moment = moment.astimezone(UTC)
        if EARLIEST <= moment < LATEST:
            return moment
    raise PydanticCustomError("moment_range", OUT_OF_RANGE)


_MOMENT = WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^20(09|[1-9][0-9])-"})
"""As nearly as JSON Schema can say it: the first and the last day of the range begin and end in New York."""

Moment = Annotated[datetime, BeforeValidator(parse_moment), _MOMENT]
MomentText = Annotated[str, _MOMENT]
"""One that is parsed later, with the others of its column."""
