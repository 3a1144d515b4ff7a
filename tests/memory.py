"""Memory of a process as Linux counts it."""

import re
from pathlib import Path
from typing import Literal


def memory_bytes(process: int | Literal["self"], kind: Literal["VmRSS", "VmHWM"]) -> int:
    """What of the process is resident now, or was at its peak."""
    status = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = re.findall(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)
    return int(kilobytes) * 1024
