"""What `autoops keys` does with the file: each change is one step, which the API sees at its next look."""

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
"""Of a secret that is given: as many as 256 bits take in base64."""

_READABLE = 0o644
"""Digests give nothing away, and the API may run as another user than who adds keys."""


def new_secret() -> str:
    """Begins in a way that scanners for leaked secrets can be told."""
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
    """Raises InputError, and Conflict for a name that is taken and not to be replaced."""
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
        if old is None or old.model_copy(update={"created_at": now}) != key:
            keys[name] = key


def revoke_key(path: Path, name: str) -> None:
    """Raises NotFound."""
    with _changed(path) as keys:
        if keys.pop(name, None) is None:
            raise NotFound(f"there is no key {name}")


@contextmanager
def _changed(path: Path) -> Iterator[dict[str, Key]]:
    """The keys by name. Whoever else changes them waits; nothing is written where nothing was changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = {key.name: key for key in read_keys(path)} if path.exists() else None
        keys = dict(before or {})
        yield keys
        if keys != before:
            _write(path, KeyFile(keys=tuple(keys.values())))
    finally:
        os.close(folder)


def _write(path: Path, content: KeyFile) -> None:
    """Nobody reads half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content.model_dump_json(indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh = Path(file.name)
    fresh.chmod(_READABLE)
    fresh.replace(path)
