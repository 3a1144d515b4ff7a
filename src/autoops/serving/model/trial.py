"""Load and run a model in a process of its own, which may hang, crash or ask for more memory than there is.

`python -m autoops.serving.model.trial` imports nothing but what runs a model, because every new version waits for it.
"""

import contextlib
import io
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FAILED, _OUT_OF_MEMORY = 3, 4
_OUTLIVES_PARENT_S = 5
_MOST_CHARACTERS = 300
# onnxruntime has no exception class for this: only the message tells.
_SIGNS_OF_MEMORY = ("bad_alloc", "bad alloc", "Failed to allocate", "MemoryError")


class Cancelled(Exception):
    """The load of the version was cancelled."""


class Hung(Exception):
    """The model did not load and predict in time."""


class Crashed(Exception):
    """The model ended the process that ran it."""


class Cancellation:
    """Cancels a load, and kills its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Cancel the load, and kill its process if there is one; called from another thread than the load."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def covers(self, process: "subprocess.Popen[bytes] | None") -> None:
        """Kill `process` too on cancellation, at once if the load is cancelled already."""
        with self._lock:
            self._process = process
            if process is not None and self._cancelled:
                process.kill()

    def check(self) -> None:
        """Require that the load is not cancelled.

        Raises:
            Cancelled: it is.
        """
        if self._cancelled:
            raise Cancelled


@dataclass(frozen=True)
class Bounds:
    """Limits of one trial: `memory_bytes` may be infinite, `nicer_by` is added to the niceness of the process."""

    timeout_s: float
    memory_bytes: float
    nicer_by: int


Trial = Callable[[Path, "npt.NDArray[np.float32]", Bounds, Cancellation], None]
"""Tries a model file on model inputs of shape `(rows, features)`."""


def no_trial(model: Path, rows: "npt.NDArray[np.float32]", bounds: Bounds, cancellation: Cancellation) -> None:
    """Accept the model without a trial, as a test may that made it."""


def in_process(model: Path, rows: "npt.NDArray[np.float32]", bounds: Bounds, cancellation: Cancellation) -> None:
    """Load the model in another process, and let it predict `rows` of shape `(rows, features)` there.

    An error that the model raises is ignored here: the load that follows gets the same one.

    Raises:
        Hung: not done within `bounds.timeout_s`.
        Crashed: the process died of a signal.
        MemoryError: it needs more than `bounds.memory_bytes`, or was killed by the system.
        Cancelled: by `cancellation`.
        RuntimeError: the trial itself failed.
    """
    import numpy as np

    sent = io.BytesIO()
    np.save(sent, rows, allow_pickle=False)
    memory = "" if math.isinf(bounds.memory_bytes) else str(int(bounds.memory_bytes))
    arguments = [str(model), str(math.ceil(bounds.timeout_s) + _OUTLIVES_PARENT_S), memory, str(bounds.nicer_by)]
    process = subprocess.Popen(
        # -P: a module in the working directory must not replace one of the installation.
        [sys.executable, "-P", "-m", __name__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        # Ctrl-C in a terminal would end the trial too, which counts as a crash of the model.
        start_new_session=True,
    )
    with process:
        cancellation.covers(process)
        try:
            _, said = process.communicate(sent.getvalue(), bounds.timeout_s)
        except subprocess.TimeoutExpired:
            cancellation.check()
            raise Hung from None
        finally:
            cancellation.covers(None)
            # `with` waits for the end of the process, which may hang.
            process.kill()
    # Before the exit code: the SIGKILL of a cancellation would count as a lack of memory.
    cancellation.check()
    _judge(process.returncode, said)


def _judge(exit_code: int, said: bytes) -> None:
    if exit_code in (_OUT_OF_MEMORY, -signal.SIGKILL):
        raise MemoryError
    if exit_code == -signal.SIGALRM:
        raise Hung
    if exit_code < 0:
        raise Crashed(signal.Signals(-exit_code).name)
    if exit_code not in (0, _FAILED):
        raise RuntimeError(f"the model could not be tried: {said.decode(errors='replace')[-_MOST_CHARACTERS:].strip()}")


def _main() -> int:
    model, seconds, memory, nicer_by = sys.argv[1:]
    signal.alarm(int(seconds))  # in case the parent process has died
    os.nice(int(nicer_by))
    import numpy as np
    import onnxruntime

    rows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if memory:
        _bound_memory(int(memory))
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # What the load runs afterwards: the golden rows, and single rows of zeros to warm up.
        for batch in (rows, np.zeros_like(rows[:1])):
            session.run(None, {session.get_inputs()[0].name: batch})
    except Exception as error:  # noqa: BLE001 - only whether it is about memory matters here
        told = f"{type(error).__name__}: {error}"
        return _OUT_OF_MEMORY if any(sign in told for sign in _SIGNS_OF_MEMORY) else _FAILED
    return 0


def _bound_memory(more_bytes: int) -> None:
    """Let this process take at most `more_bytes` more, if the system can bound that."""
    with contextlib.suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text()
        taken = 1024 * int(status.partition("VmData:")[2].split()[0])
        # Not RLIMIT_AS, which also counts the mapped files of libraries.
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (taken + more_bytes, hard))


if __name__ == "__main__":
    sys.exit(_main())
