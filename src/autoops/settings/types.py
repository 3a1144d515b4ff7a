"""Types of the values of settings, with their bounds."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Url = Annotated[str, Field(repr=False)]
OptionalUrl = Annotated[str | None, Field(repr=False)]
"""Both may hold a password or a token. The hidden repr marks them, and loading settings has their secrets masked."""

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
Budget = Annotated[float, Field(gt=0)]
RateLimit = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]
Segment = Annotated[
    str,
    Field(pattern=r"^(hour_band|distance_band|no_passenger_count|day_type|(pickup|dropoff)_location_id=[0-9]{1,3})$"),
]

AlertEvent = Literal[
    "incident_opened",
    "promoted",
    "rejected",
    "rolled_back",
    "quarantined",
    "page",
    "retraining_failed",
    "waiting_for_approval",
    "monitor_silent",
    "not_served",
    "labels_missing",
    "frozen_long",
]


def secret_settings(settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield section and key of each setting that may hold a secret."""
    for section, field in settings.model_fields.items():
        for key, knob in type(field.default).model_fields.items():
            if not knob.repr or "SecretStr" in str(knob.annotation):
                yield section, key
