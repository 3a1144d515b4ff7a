"""What the values of settings may be."""

from typing import Annotated, Literal

from pydantic import Field

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
]
