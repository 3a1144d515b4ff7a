"""Every error that Auto-Ops raises on purpose, in one tree.

    AutoOpsError
    ├── InputError            the caller gave something wrong
    │   ├── SettingsError     config.yaml or an AUTOOPS__ variable
    │   └── MonthError        a month that does not parse
    ├── DataError             a month of data cannot be used
    │   ├── NotPublished      the source does not have it (yet)
    │   ├── CorruptFile       truncated, not parquet, or not readable
    │   ├── SchemaError       a column is missing or of the wrong type
    │   ├── EmptyMonth        nothing is left of it
    │   ├── BrokenData        plausible file, implausible contents
    │   └── FeatureError      a function of the use case computes no feature of these rows
    ├── NotFound              a version, alias, incident or prediction that is not there
    │   └── NoChampion        nothing has been promoted yet
    ├── BundleError           a model version's artifacts are missing, broken or do not verify
    ├── Conflict              another person or process holds it: a claimed action, a taken port
    └── Unavailable           an outside system does not answer
        ├── SourceUnavailable
        ├── RegistryUnavailable
        ├── StorageUnavailable
        ├── ServiceUnavailable
        └── ReceiverUnavailable   of alerts

Each class carries the exit code of the CLI's process and the status for HTTP. A message may quote another library's
message, which may quote a URL with its password: `str(error)` is redacted.
"""

from autoops.redaction import redact


class AutoOpsError(Exception):
    """Base of all errors with a message for people."""

    exit_code = 1
    http_status = 500

    def __str__(self) -> str:
        return redact(super().__str__())


class InputError(AutoOpsError):
    """Invalid input of the caller."""

    exit_code = 2
    http_status = 422


class SettingsError(InputError):
    """A setting is unknown, missing or out of range; the message names its key."""


class MonthError(InputError):
    """A month or a range of months does not parse."""


class DataError(AutoOpsError):
    """Base of errors about a month of data that cannot be used."""

    exit_code = 3
    http_status = 422


class NotPublished(DataError):
    """The source does not hold this month."""


class CorruptFile(DataError):
    """The file is truncated, is no parquet file, or cannot be read at all."""


class SchemaError(DataError):
    """A column is missing or has a type that cannot be converted."""


class EmptyMonth(DataError):
    """No row of the month survives cleaning."""


class BrokenData(DataError):
    """The file reads well and its contents cannot be true."""


class FeatureError(DataError):
    """A derived feature cannot be computed; the message names it and its function."""


class NotFound(AutoOpsError):
    """Missing version, alias, incident or prediction."""

    exit_code = 4
    http_status = 404


class NoChampion(NotFound):
    """No version carries the alias `champion`."""


class BundleError(AutoOpsError):
    """A model version's artifacts are missing, broken or do not verify."""

    exit_code = 3


class Conflict(AutoOpsError):
    """Another person or process holds what was asked for."""

    exit_code = 5
    http_status = 409


class Unavailable(AutoOpsError):
    """Base of errors about an outside system that does not answer."""

    exit_code = 6
    http_status = 503


class SourceUnavailable(Unavailable):
    """The data source does not answer."""


class RegistryUnavailable(Unavailable):
    """MLflow does not answer, or not in time."""


class StorageUnavailable(Unavailable):
    """The database does not answer, is locked or is full."""


class ServiceUnavailable(Unavailable):
    """A service that Auto-Ops runs (API, Airflow) does not answer."""


class ReceiverUnavailable(Unavailable):
    """A receiver of alerts does not accept a message."""
