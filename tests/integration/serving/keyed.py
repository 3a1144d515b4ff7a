"""The API with keys, as a client of it sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.models.registry import Registry
from autoops.serving.auth.keys_file import add_key, new_secret
from autoops.settings import Security, Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from tests.eventually import eventually
from tests.integration.serving.conftest import serving, with_serving

AT = datetime(2026, 3, 1, tzinfo=UTC)


def give_key(file: Path, name: str, *scopes: str, rate_limit: str | None = None) -> str:
    secret = new_secret()
    add_key(file, name, scopes, AT, secret=secret, rate_limit=rate_limit)
    return secret


@dataclass(frozen=True)
class Keyed:
    client: httpx.Client
    file: Path

    def ask(self, secret: str | None, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return self.client.request(method, path, headers=headers, **request)


@contextmanager
def keyed_api(
    settings: Settings, registry: Registry, engine: sa.Engine, file: Path, **security: Any
) -> Iterator[Keyed]:
    """Ready with version 1; `file` must be there."""
    guarded = with_serving(settings).model_copy(update={"security": Security(keys_file=file, **security)})
    with serving(guarded, registry, PredictionLog(engine), Instances(engine), SystemClock()) as client:
        eventually(lambda: client.get("/ready").is_success)
        yield Keyed(client, file)
