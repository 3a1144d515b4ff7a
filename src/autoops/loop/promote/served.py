"""Which API instances serve which version, by their heartbeats."""

from collections.abc import Mapping
from datetime import timedelta

from autoops.loop.context import Context

HEARTBEAT_COUNTS_S = 10
"""An instance without a heartbeat for longer is gone."""


def serving_now(context: Context) -> dict[str, int | None]:
    """Return the version of each live instance, by the instance's name."""
    alive = context.instances.serving(context.clock.now() - timedelta(seconds=HEARTBEAT_COUNTS_S))
    return {instance.name: instance.model_version for instance in alive}


def missing(version: int, serves: Mapping[str, int | None]) -> str | None:
    """Return which instances do not serve the version; None where there is one and all do."""
    if serves and set(serves.values()) == {version}:
        return None
    found = ", ".join(f"{name}: {number}" for name, number in serves.items())
    return f"version {version} is champion but not served everywhere: {found or 'no instance gave a sign of life'}"
