"""The body of a batch, in whichever of its forms it comes."""

from typing import Literal

import orjson
from fastapi import Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from autoops.serving import accept, arrow
from autoops.serving.answers import Form
from autoops.serving.batch import Batch, of_columns, of_rows
from autoops.serving.bodies import JSON, media_type_of, parse_json
from autoops.serving.refusals import InvalidTrips, TooManyRows
from autoops.serving.schemas import AnyBatch, Trip, TripColumns

Kind = Literal["json", "arrow"]
MEDIA_TYPES: dict[str, Kind] = {JSON: "json", arrow.MEDIA_TYPE: "arrow"}


def kinds_of(request: Request) -> tuple[Kind, str]:
    """Of the body, and the media type of the answer: that of the body unless the client wants the other.
    Raises HTTPException 415 and 406."""
    media_type = media_type_of(request)
    if media_type not in MEDIA_TYPES:
        raise HTTPException(415, f"expected content-type {' or '.join(MEDIA_TYPES)}")
    offered = [media_type, *(other for other in MEDIA_TYPES if other != media_type)]
    wanted = accept.preferred(request.headers.get("accept", ""), offered)
    if wanted is None:
        raise HTTPException(406, f"the answer can be {' or '.join(MEDIA_TYPES)}")
    return MEDIA_TYPES[media_type], wanted


def read(body: bytes, kind: Kind, max_rows: int) -> tuple[Batch, Form]:
    """The trips, and the form of a JSON answer to them. Raises RequestValidationError and InputError."""
    if kind == "arrow":
        return arrow.read(body, max_rows), "columns"
    quick = _quick_rows(body, max_rows)
    if quick is not None:
        return quick, "rows"
    given = parse_json(body, AnyBatch)
    if given.trips is not None:
        _limit(len(given.trips), "trips", max_rows)
        return of_rows(given.trips), "rows"
    assert given.columns is not None
    _limit(len(given.columns.trip_distance), "rows", max_rows)
    return of_columns(given.columns), "columns"


def _quick_rows(body: bytes, max_rows: int) -> Batch | None:
    """Rows that are taken apart into columns, in less than half the time that an object for each takes. None where
    anything is not as it should be: only the long way can say what, and in which row."""
    try:
        match orjson.loads(body):
            case {"trips": [_, *_] as trips, **others} if not others and all(type(trip) is dict for trip in trips):
                names = set().union(*trips)
                if len(trips) <= max_rows and names <= Trip.model_fields.keys():
                    columns = {name: [trip.get(name) for trip in trips] for name in names}
                    return of_columns(TripColumns.model_validate(columns))
    except (orjson.JSONDecodeError, ValidationError, InvalidTrips):
        return None
    return None


def _limit(count: int, what: str, most: int) -> None:
    if count > most:
        raise TooManyRows(f"{what}: at most {most} in one request, got {count}")
