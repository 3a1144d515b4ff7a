"""Addresses of MLflow's pages as people reach them, without a request to MLflow, which may be away."""

from autoops.redaction import public_url
from autoops.settings import Settings


def run_page(settings: Settings, run_id: str) -> str | None:
    """Return the address of a run's page, None where MLflow is not reached over HTTP."""
    return _page(settings, settings.mlflow.tracking_uri, f"runs/{run_id}")


def version_page(settings: Settings, number: int) -> str | None:
    """Return the address of a version's page, None where its registry is not reached over HTTP."""
    return _page(settings, settings.mlflow.versions_uri, f"models/{settings.model.name}/versions/{number}")


def _page(settings: Settings, place: str, path: str) -> str | None:
    base = public_url(settings.alerts.mlflow_url or place)
    return f"{base}/#/{path}" if base.startswith(("http://", "https://")) else None
