"""What MLflow must be and have for a training to end in it: asked before, because a training takes long."""

from importlib.util import find_spec

from autoops.errors import RegistryUnavailable, SettingsError

OLDEST = (3, 0)
"""The first server that knows logged models."""

_LIBRARIES = {
    "s3": ("boto3", "boto3", "s3"),
    "gs": ("google.cloud.storage", "google-cloud-storage", "gcs"),
    "wasbs": ("azure.storage.blob", "azure-storage-blob", "azure"),
}
"""Module, package and our extra for it, by the scheme of artifacts that clients reach without the server."""


def require_version(tracking_uri: str) -> None:
    """Raise RegistryUnavailable for a server older than OLDEST. A server that does not say is taken as it is."""
    if not tracking_uri.startswith(("http://", "https://")):
        return
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(get_default_host_creds(tracking_uri), "/version", "GET")
    told = answer.text.strip()
    numbers = told.split(".")[:2] if answer.ok else []
    known = len(numbers) == len(OLDEST) and all(one.isdigit() for one in numbers)
    if known and tuple(map(int, numbers)) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise RegistryUnavailable(f"MLflow at {tracking_uri} is version {told}: upgrade it to {oldest} or later")


def require_library(artifact_location: str) -> None:
    """Raise SettingsError where artifacts lie in a store that this installation has no library for."""
    scheme = artifact_location.partition("://")[0]
    module, package, extra = _LIBRARIES.get(scheme, ("", "", ""))
    if module and not _installed(module):
        raise SettingsError(
            f"MLflow keeps the artifacts of this experiment at {artifact_location}, and {package} is not installed: "
            f"pip install '.[{extra}]' in the checkout, or let the server pass artifacts on (mlflow server "
            "--artifacts-destination)"
        )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
