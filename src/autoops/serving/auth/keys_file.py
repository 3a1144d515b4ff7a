"""Changes that `autoops keys` makes to the file: each one is atomic, and the API reads it at its next check."""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from autoops.errors import Conflict, InputError, NotFound
from autoops.serving.auth.keys import Key, KeyFile, complaints, digest_of, read_keys

LEAST_CHARACTERS = 43
"""Minimum length of a given secret: 256 bits take as many characters in base64."""

_READABLE = 0o644
"""A digest does not reveal its key, and the API may run as another user than the one who adds keys."""


def new_secret() -> str:
    """Return a new secret, with a prefix by which scanners for leaked secrets can recognise it."""
    return f"autoops_{secrets.token_urlsafe(32)}"


def add_key(
    path: Path,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    *,
    secret: str,
    rate_limit: str | None = None,
    replace: bool = False,
) -> None:
    """Add a key; with `replace`, overwrite the key of this name.

    Raises:
        InputError: the secret is too short, or the name, a scope or the rate limit is invalid.
        Conflict: the name is taken, and `replace` is False.
    """
    if len(secret) < LEAST_CHARACTERS:
        raise InputError(f"a secret needs {LEAST_CHARACTERS} characters at least, got {len(secret)}")
    try:
        key = Key.model_validate(
            {
                "name": name,
                "scopes": sorted(set(scopes)),
                "rate_limit": rate_limit,
                "sha256": digest_of(secret.encode()),
                "created_at": now,
            }
        )
    except ValidationError as error:
        raise InputError(complaints(error)) from None
    with _changed(path) as keys:
        old = keys.get(name)
        if old is not None and not replace:
            raise Conflict(f"there is a key {name}; --replace gives it a new secret, at once")
        # The same key again changes nothing, not even its time.
        if old is None or old.model_copy(update={"created_at": now}) != key:
            keys[name] = key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key.

    Raises:
        NotFound: no key has this name.
    """
    with _changed(path) as keys:
        if keys.pop(name, None) is None:
            raise NotFound(f"there is no key {name}")


@contextmanager
def _changed(path: Path) -> Iterator[dict[str, Key]]:
    """Yield the keys by name, and write them if the caller has changed them; other processes wait meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Not the file: `_write` replaces it, and a lock would stay with the old one.
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = {key.name: key for key in read_keys(path)} if path.exists() else None
        keys = dict(before or {})
        yield keys
        if keys != before:
            _write(path, KeyFile(keys=tuple(keys.values())))
    finally:
        os.close(folder)


def _write(path: Path, content: KeyFile) -> None:
    """Write the file in one step, so that no process reads half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content.model_dump_json(indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh = Path(file.name)
    fresh.chmod(_READABLE)
    fresh.replace(path)
