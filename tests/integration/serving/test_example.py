import subprocess
import sys
from pathlib import Path

import httpx

from tests.ports import free_port

SCRIPT = Path(__file__).parents[3] / "scripts" / "example_usage.py"


def run(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, "--url", url], capture_output=True, text=True, timeout=300)


def test_the_example_walks_through_the_whole_api(api: httpx.Client) -> None:
    done = run(str(api.base_url))
    assert done.returncode == 0, done.stderr
    statuses = [line.rsplit(" ", 1)[1] for line in done.stdout.splitlines() if " -> " in line]
    assert statuses == ["200"] * 7 + ["422"]
    assert '"pending": [\n    2\n  ]' in done.stdout
    assert '"repeated": true' in done.stdout


def test_the_example_says_when_there_is_no_api() -> None:
    gone = run(f"http://127.0.0.1:{free_port()}")
    assert gone.returncode == 1
    assert "does not answer" in gone.stderr
