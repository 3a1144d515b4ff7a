"""What clients send and what they get, whatever the use case; `row_models` has the models that it declares.

Requests are strict: no unknown fields, no "3" for 3, no true for 1, no NaN.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


RequestId = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
PredictionId = Annotated[str, Field(pattern=_UUID)]


STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class Request(BaseModel):
    model_config = STRICT | ConfigDict(extra="forbid", frozen=True)


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
