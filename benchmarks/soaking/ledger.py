"""What was asked and what was acknowledged, by number, in files: an hour has ten million rows, and its clients must not
grow with them."""

import mmap
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.soaking import mix

MOST_REQUESTS = 20_000_000
"""The files are sparse: what is not used takes no room."""

_MISSING = b"\0" * 16
SENT, ACKNOWLEDGED = 1, 2
NO_ANSWER, WRONG = 1, 2
"""In place of a status: the connection ended, or nothing came in time; 200 with something else than it should. 0 is
what was never asked."""

_MOST_TRIPS = MOST_REQUESTS // mix.REQUESTS * mix.TRIPS
_MOST_LABELS = MOST_REQUESTS // mix.REQUESTS * mix.LABELS
_FILES = {"ids": 16 * _MOST_TRIPS, "versions": _MOST_TRIPS, "labels": _MOST_LABELS, "answers": 6 * MOST_REQUESTS}
_ANSWER = struct.Struct("=Hf")
ANSWER = np.dtype([("status", "u2"), ("seconds", "f4")])


@dataclass(frozen=True)
class Arrays:
    """Of the first requests: `ids` as 16 bytes by trip, `versions` by trip, states by label, answers by request."""

    ids: npt.NDArray[Any]
    versions: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    answers: npt.NDArray[Any]

    @property
    def acknowledged(self) -> npt.NDArray[np.bool_]:
        """By trip."""
        return np.asarray(self.ids != np.void(_MISSING))


class Ledger:
    """Of one process that writes; others read `arrays` when it is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps = {name: _mapped(folder / name, size) for name, size in _FILES.items()}
        self._ids, self._versions = self._maps["ids"], self._maps["versions"]
        self._labels, self._answers = self._maps["labels"], self._maps["answers"]

    def id_of(self, trip: int) -> str | None:
        kept = self._ids[16 * trip : 16 * trip + 16]
        return None if kept == _MISSING else str(uuid.UUID(bytes=kept))

    def acknowledge(self, trip: int, prediction_id: str, version: int) -> bool:
        """False: it was acknowledged before, as another."""
        given, place = bytes.fromhex(prediction_id.replace("-", "")), slice(16 * trip, 16 * trip + 16)
        before = self._ids[place]
        if before not in (_MISSING, given):
            return False
        self._ids[place] = given
        self._versions[trip] = version
        return True

    def send_label(self, label: int) -> None:
        self._labels[label] = SENT

    def acknowledge_label(self, label: int) -> None:
        self._labels[label] = ACKNOWLEDGED

    def is_labelled(self, label: int) -> bool:
        return label >= 0 and self._labels[label] == ACKNOWLEDGED

    def answered(self, request: int, status: int, seconds: float) -> None:
        _ANSWER.pack_into(self._answers, _ANSWER.size * request, status, seconds)

    def arrays(self, requests: int) -> Arrays:
        """Of so many requests, and of the cycle that they may have begun."""
        cycles = -(-requests // mix.REQUESTS) + 2
        return Arrays(
            np.frombuffer(self._ids, "V16", cycles * mix.TRIPS),
            np.frombuffer(self._versions, np.uint8, cycles * mix.TRIPS),
            np.frombuffer(self._labels, np.uint8, cycles * mix.LABELS),
            np.frombuffer(self._answers, ANSWER, requests),
        )


def _mapped(file: Path, size: int) -> mmap.mmap:
    with file.open("ab") as made:
        made.truncate(size)
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), size)
