"""Named API keys, whose digests are in a file.

A key is 256 bits from the system's generator. It cannot be guessed or looked up in a table, so its plain SHA-256 is as
safe as a salted one. A slow hash protects passwords that people choose; here it would only slow down each request.
"""

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from autoops.errors import SettingsError
from autoops.settings import Settings
from autoops.settings.types import RateLimit

logger = logging.getLogger(__name__)

KEY = "autoops.key"
"""Where an ASGI scope holds the name of the request's key."""

Scope = Literal["predict", "feedback", "admin"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Key(BaseModel):
    """An API key. No scope includes another; a key without scopes may read what every key may.

    A key without a `rate_limit` has that of the settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    scopes: tuple[Scope, ...] = ()
    rate_limit: RateLimit | None = None
    sha256: Digest
    created_at: AwareDatetime


class KeyFile(BaseModel):
    """Content of the keys file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...] = ()

    @field_validator("keys")
    @classmethod
    def _each_name_once(cls, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if len({key.name for key in keys}) < len(keys):
            raise ValueError("each name once")
        return keys


def digest_of(secret: bytes) -> str:
    """Return the SHA-256 of the secret in lower-case hexadecimal, as in the keys file."""
    return hashlib.sha256(secret).hexdigest()


def read_keys(path: Path) -> tuple[Key, ...]:
    """Return the keys in the file.

    Raises:
        SettingsError: the file is missing, unreadable or invalid; the message never repeats its contents.
    """
    try:
        return KeyFile.model_validate_json(path.read_bytes()).keys
    except FileNotFoundError:
        raise SettingsError(f"security.keys_file: {path} is not there; `autoops keys add NAME` makes it") from None
    except OSError as error:
        raise SettingsError(f"security.keys_file: {path} does not read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(f"security.keys_file: {path}: {complaints(error)}") from None


def complaints(error: ValidationError) -> str:
    """Return which fields are invalid and why, without their values."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())


FileState = tuple[int, int, int]


class Keys:
    """The keys in a file, as of the last `look`. An unreadable file changes nothing: the previous keys stay valid."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            SettingsError: the file is missing, unreadable or invalid.
        """
        self._path = path
        # Neither a file's state nor None, that of a missing one: the first `look` always reads.
        self._file_state: FileState | None = (0, 0, 0)
        self._keys: Sequence[tuple[str, Key]] = ()
        self.look()

    def look(self) -> None:
        """Read the file again if its `stat` has changed.

        Raises:
            SettingsError: the file is missing, unreadable or invalid; raised once for each change.
        """
        stamp = _file_state_of(self._path)
        if stamp == self._file_state:
            return
        self._file_state = stamp
        keys = read_keys(self._path)
        self._keys = [(key.sha256, key) for key in keys]
        logger.info("keys of %s: %s", self._path, ", ".join(key.name for key in keys) or "nobody's")

    def owner_of(self, secret: bytes) -> Key | None:
        """Return the key with this secret, None if there is none.

        Takes the same time for every key, and for a secret that is nearly right.
        """
        digest, found = digest_of(secret), None
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key
        return found

    def has(self, key: Key) -> bool:
        """Return whether the key is still there, with the same secret and scopes."""
        return any(known == key for _, known in self._keys)


def _file_state_of(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # The inode tells two files of one size apart that are written within one tick of the clock.
    return status.st_mtime_ns, status.st_size, status.st_ino


def configured(settings: Settings) -> Keys | None:
    """Return the keys, None if no file is configured; warn if other machines can then use the API without a key.

    Raises:
        SettingsError: the file is missing, unreadable or invalid.
    """
    if settings.security.keys_file is not None:
        return Keys(settings.security.keys_file)
    host = settings.serving.host
    if not is_loopback(host):
        logger.warning(
            "serving.host is %s and security.keys_file is null: whoever reaches port %d may predict, send ground "
            "truth and reload the model; see docs/security.md",
            host,
            settings.serving.port,
        )
    return None


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
