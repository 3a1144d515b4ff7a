"""What clients send and what they get. Bounds come from the data contract in `autoops.trips`.

Requests are strict: no unknown fields, no "3" for 3, no true for 1, no NaN.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from autoops.serving.payloads.timestamps import Timestamp, TimestampText
from autoops.trips import DISTANCE_MILES, LABEL_MINUTES, LOCATION_ID, PASSENGER_COUNT, Bounds

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


def _within(bounds: Bounds, description: str, kind: type[float] = float) -> Any:
    low, high = kind(bounds.low), kind(bounds.high)
    return Field(
        description=description,
        gt=low if bounds.low_open else None,
        ge=None if bounds.low_open else low,
        lt=high if bounds.high_open else None,
        le=None if bounds.high_open else high,
    )


RequestId = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
PredictionId = Annotated[str, Field(pattern=_UUID)]
TripMinutes = Annotated[float, Field(gt=LABEL_MINUTES.low, le=LABEL_MINUTES.high)]


STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class Request(BaseModel):
    model_config = STRICT | ConfigDict(extra="forbid", frozen=True)


class Trip(Request):
    """One trip, as known when it begins."""

    pickup_at: Annotated[
        Timestamp | None, Field(description="ISO 8601; without an offset New York time; now when left out")
    ] = None
    trip_distance: Annotated[float, _within(DISTANCE_MILES, "miles")]
    passenger_count: Annotated[int | None, _within(PASSENGER_COUNT, "0 or left out: not reported", kind=int)] = None
    pickup_location_id: Annotated[int, _within(LOCATION_ID, "TLC taxi zone", kind=int)]
    dropoff_location_id: Annotated[int, _within(LOCATION_ID, "TLC taxi zone", kind=int)]
    request_id: Annotated[
        RequestId | None,
        Field(
            description="Your own id: ground truth may name it, a repeat gets the first answer again, and another trip "
            "with it is refused"
        ),
    ] = None


TripRows = Annotated[list[Trip], Field(min_length=1, description="At most `serving.max_batch`")]


class TripColumns(Request):
    """Trips as one list for each field, all of one length and at most `serving.max_batch` long; which saves a good part
    of what reading them costs."""

    pickup_at: Annotated[
        list[TimestampText | None] | None, Field(description="ISO 8601; without an offset New York time; null: now")
    ] = None
    trip_distance: Annotated[list[Annotated[float, _within(DISTANCE_MILES, "miles")]], Field(min_length=1)]
    passenger_count: (
        list[Annotated[int | None, _within(PASSENGER_COUNT, "0 or null: not reported", kind=int)]] | None
    ) = None
    pickup_location_id: list[Annotated[int, _within(LOCATION_ID, "TLC taxi zone", kind=int)]]
    dropoff_location_id: list[Annotated[int, _within(LOCATION_ID, "TLC taxi zone", kind=int)]]
    request_id: Annotated[list[RequestId | None] | None, Field(description="Your own ids, as of single trips")] = None


class TripBatch(Request):
    trips: TripRows


class TripColumnBatch(Request):
    columns: TripColumns


class GroundTruth(Request):
    """What a trip really took. Exactly one of the two ids names its prediction."""

    prediction_id: PredictionId | None = None
    request_id: RequestId | None = None
    trip_duration_minutes: TripMinutes

    @model_validator(mode="after")
    def _names_one_prediction(self) -> Self:
        if (self.prediction_id is None) == (self.request_id is None):
            # pydantic begins the message of a ValueError with "Value error, ".
            raise PydanticCustomError("one_id", "expected exactly one of prediction_id and request_id")
        return self


class _CheckedOneByOne:
    """Documents an item as GroundTruth, and that anything passes: a malformed one must not refuse the others."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        label = handler(GroundTruth.__pydantic_core_schema__)
        return {"anyOf": [label, {"description": "Whatever else: refused by its position, and the others stored"}]}


class GroundTruthBatch(Request):
    labels: Annotated[
        list[Annotated[Any, _CheckedOneByOne]], Field(min_length=1, description="At most `serving.max_batch`")
    ]


class Prediction(BaseModel):
    prediction_id: str
    trip_duration_minutes: float
    model_version: int
    event_at: datetime
    known_zones: Annotated[bool, Field(description="False: the model has never seen one of the two zones")]
    repeated: Annotated[bool, Field(description="True: the answer that this request_id got before")]


class PredictionBatch(BaseModel):
    model_version: Annotated[int, Field(description="Of all predictions that are not repeated")]
    predictions: list[Prediction]


class PredictionColumns(BaseModel):
    """A list for each field of a prediction, in the order of the trips."""

    prediction_id: list[str]
    trip_duration_minutes: list[float]
    model_version: list[int]
    event_at: list[datetime]
    known_zones: list[bool]
    repeated: list[bool]


class PredictionColumnBatch(BaseModel):
    model_version: Annotated[int, Field(description="Of all predictions that are not repeated")]
    columns: PredictionColumns


class Refused(BaseModel):
    position: int
    reason: str


class GroundTruthReceipt(BaseModel):
    stored: int
    attached: Annotated[int, Field(description="Stored, and the prediction is known")]
    pending: Annotated[list[int], Field(description="Positions stored for an id that is not known yet")]
    refused: list[Refused]


class BlockedVersion(BaseModel):
    model_version: int | None
    reason: str
    since: datetime


class ModelInfo(BaseModel):
    model_version: int | None
    previous_version: Annotated[int | None, Field(description="Still loaded: going back to it is instant")]
    follows: str
    source: Annotated[Literal["registry", "cache"] | None, Field(description="cache: the registry has not answered")]
    loaded_at: datetime | None
    trained_until: datetime | None
    features: list[str]
    bundle_digest: str | None
    last_error: Annotated[str | None, Field(description="Why the followed version is not served")]
    last_error_at: datetime | None
    failed_version: int | None
    quarantined: Annotated[
        list[BlockedVersion],
        Field(description="Do not verify or load; POST /model/reload tries the followed one again"),
    ]
    instance_id: str
    started_at: datetime


class Reload(BaseModel):
    model_version: int | None
    swapped: bool
    outcome: str
    last_error: str | None


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    model_version: int


class FieldProblem(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = Field(None, description="As in the header X-Request-Id, and in the log.")
    errors: list[FieldProblem] | None = None
