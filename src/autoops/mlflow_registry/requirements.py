"""Requirements on MLflow to store a training, checked before it, because a training takes long."""

from importlib.util import find_spec

from autoops.errors import RegistryUnavailable, SettingsError

OLDEST = (3, 0)
"""The first version of the server with logged models."""

_LIBRARIES = {
    "s3": ("boto3", "boto3", "s3"),
    "gs": ("google.cloud.storage", "google-cloud-storage", "gcs"),
    "wasbs": ("azure.storage.blob", "azure-storage-blob", "azure"),
}
"""Module, package and extra of Auto-Ops, by the scheme of artifact stores that clients access without the server."""


def require_version(tracking_uri: str) -> None:
    """Require a server of version `OLDEST` or later; accept a server that does not report its version.

    Raises:
        RegistryUnavailable: the server is older.
    """
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
    """Require the library for the store of the artifacts.

    Raises:
        SettingsError: the library is not installed.
    """
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
        # `find_spec` imports the parents of a dotted name, and `google` may be missing too.
        return False
