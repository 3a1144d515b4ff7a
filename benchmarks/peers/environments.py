"""Each peer's own environment, from the versions that its file here pins."""

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / "var" / "peers"
UV = str(Path(sysconfig.get_path("scripts")) / "uv")


class NotInstalled(Exception):
    """Why, in a line."""


def programs(name: str, locks: Path = HERE) -> Path:
    """The folder of the environment's programs; makes it where it is not there or not of these versions. Raises
    NotInstalled, such as where this Python is too new for the peer or no package index answers."""
    lock, folder = locks / f"{name}.txt", PLACE / name
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / ".lock-digest"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing {name} into var/peers/{name}", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "sync", "--python", str(folder / "bin" / "python"), str(lock))
        stamp.write_text(digest)
    return folder / "bin"


def _uv(*arguments: str) -> None:
    done = subprocess.run([UV, *arguments, "--quiet"], capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled(" ".join(done.stderr.split())[:300])
