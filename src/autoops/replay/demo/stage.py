"""The demo's environment: a home, ports and configuration of its own, so that it never interferes with `autoops up`."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from autoops.errors import Conflict
from autoops.services.credentials import write_private
from autoops.settings import CONFIG_VARIABLE, PREFIX, Settings, load_settings
from autoops.settings.types import secret_settings

MARKER = ".autoops-demo"
CONFIG = "config.yaml"


@contextmanager
def reserved(home: Path) -> Iterator[None]:
    """Hold the lock on a home, for one demo at a time; the kernel releases it when the process dies, however it dies.

    Raises:
        Conflict: another demo is playing in the home.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    # Beside the home: `cleared` deletes the home while the lock is held.
    with home.with_name(f".{home.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another demo is playing in {home}: wait for its end, or stop it") from None
        yield


Overrides = dict[str, dict[str, object]]
"""Settings by section and key."""


def check_home(home: Path) -> None:
    """Require that the home, which is about to be wiped, is empty or was made by a demo.

    Raises:
        Conflict: it has contents, and no demo made it.
    """
    if home.is_dir() and any(home.iterdir()) and not (home / MARKER).exists():
        raise Conflict(f"{home} is not empty and was not made by a demo: move it away first")


def cleared(home: Path) -> Path:
    """Empty the home, and return it; no process of an earlier demo may run in it any more."""
    if home.is_dir():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARKER).touch()
    return home


def enter(home: Path, base: Settings, overrides: Overrides) -> Settings:
    """Write the demo's configuration, make it this process's and thereby that of the services, and load it.

    AUTOOPS__ variables are in `base` already. They are removed from the environment, where they would win over the
    overrides.
    """
    values = base.model_dump(mode="json")
    # The dump masks secrets, and the services need them themselves.
    for section, key in secret_settings(Settings):
        secret = getattr(getattr(base, section), key)
        if isinstance(secret, SecretStr):
            values[section][key] = secret.get_secret_value()
    for section, keys in overrides.items():
        values[section] |= keys
    path = home / CONFIG
    write_private(path, yaml.safe_dump(values, sort_keys=False))
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ[CONFIG_VARIABLE] = str(path)
    return load_settings(path)


def own_overrides(base: Settings, published: Path) -> Overrides:
    """Return what every demo changes: its state, its ports, where months appear, and a monitor that checks often.

    The demo's API is for this machine and asks for no keys.
    """
    preferred = urlsplit(base.mlflow.tracking_uri).port or 5000
    wanted = (base.serving.port, base.airflow.port, base.exporter.port, base.console.port, preferred)
    serving, airflow, exporter, console, mlflow = free_ports(*wanted)
    return {
        # Relative to the configuration, which is in the home.
        "storage": {"home": ".", "url": None},
        "data": {"source": str(published)},
        "mlflow": {"tracking_uri": f"http://127.0.0.1:{mlflow}"},
        "serving": {"host": "127.0.0.1", "port": serving, "model_version": "champion"},
        "airflow": {"host": "127.0.0.1", "port": airflow},
        "exporter": {"host": "127.0.0.1", "port": exporter},
        "console": {"host": "127.0.0.1", "port": console, "airflow_url": None},
        "drift": {"source": "log", "check_interval_s": 10},
        "security": {"keys_file": None, "rate_limit": None, "api_key": None},
    }


def free_ports(*preferred: int) -> list[int]:
    """Return each preferred port where it is free, else one that the kernel gives; all are different.

    Raises:
        Conflict: a port is taken, and the kernel gives no other.
    """
    with ExitStack() as held:
        # All stay bound until the last is chosen: the kernel may give a port again that is closed.
        return [int(held.enter_context(_bind(port)).getsockname()[1]) for port in preferred]


def _bind(port: int) -> socket.socket:
    for attempt in (port, 0):
        candidate = socket.socket()
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", attempt))
            # With SO_REUSEADDR two sockets can bind one port until one of them listens.
            candidate.listen(1)
        except OSError:
            candidate.close()
            continue
        return candidate
    raise Conflict(f"port {port} is taken, and this machine gives no other")


def newest_tails(logs: Path, files: int = 3, lines: int = 12) -> str:
    """Return the last lines of the logs that were written to last."""
    found = sorted((path for path in logs.rglob("*.log") if path.is_file()), key=lambda path: path.stat().st_mtime)
    tails = []
    for path in found[-files:]:
        end = path.read_text(errors="replace").splitlines()[-lines:]
        tails.append("\n".join([f"--- {path}", *end]))
    return "\n".join(tails)
