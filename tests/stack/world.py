"""Months of a made-up city: the one that the stack's own first months are of."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.compose import ROOT, Stack

AUTOOPS = str(Path(sys.executable).parent / "autoops")
SEED = 42
STEADY, CHANGED = "2023-04", "2023-05"
REPLAYED = 1_500
PUBLISH = 'cat >"/published/.$1.part" && mv "/published/.$1.part" "/published/$1"'


def autoops(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [AUTOOPS, *arguments], cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"autoops {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class World:
    directory: Path
    stack: Stack

    @classmethod
    def made_up(cls, directory: Path, stack: Stack) -> "World":
        """In the changed month everybody drives a quarter slower."""
        options = ["--seed", str(SEED), "--scenario", "speed", "--changes-from", CHANGED, "--output", str(directory)]
        autoops("sample", "--months", f"{STEADY}..{CHANGED}", *options)
        return cls(directory, stack)

    def replay(self, month: str) -> dict[str, Any]:
        """Sends trips of the month and their ground truth; no request may fail."""
        options = ["--url", self.stack.url("API"), "--sample", str(REPLAYED), "--label-lag-days", "0", "--json"]
        played: dict[str, Any] = json.loads(
            autoops(
                *("replay", "--source", str(self.directory), "--months", month, *options),
                AUTOOPS__SECURITY__API_KEY=self.stack.env["API_KEY"],
            )
        )
        return played

    def publish(self, month: str) -> None:
        """Into the volume where the pipeline looks for months; the file is there as a whole, or not at all."""
        name = f"green_tripdata_{month}.parquet"
        self.stack.compose(
            *("run", "--rm", "--no-deps", "--no-TTY", "sample-months", "sh", "-c", PUBLISH, "publish", name),
            stdin=(self.directory / name).read_bytes(),
        )
