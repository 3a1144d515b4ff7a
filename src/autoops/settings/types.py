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
    "detects_too_little",
    "frozen_long",
]


def secret_settings(settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield section and key of each setting that may hold a secret."""
    for section, keys in sections_of(settings).items():
        for key, knob in keys.model_fields.items():
            if not knob.repr or "SecretStr" in str(knob.annotation):
                yield section, key


def sections_of(settings: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the sections by name; a setting outside any section is none."""
    found = ((name, field.annotation) for name, field in settings.model_fields.items())
    return {name: kind for name, kind in found if isinstance(kind, type) and issubclass(kind, BaseModel)}
