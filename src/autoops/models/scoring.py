"""A model version as a function from rows to predictions, loaded from its verified bundle.

Serving answers requests with it, the gate compares two of them, and a month is scored with one. It is the same code, so
that the judged model is the served model.
"""

import contextlib
import math
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import BundleError, SettingsError
from autoops.models import bundle
from autoops.models.bundle_cache import fetch_bundle
from autoops.models.registry import ModelVersion, Registry
from autoops.usecase.columns import Columns
from autoops.usecase.encoding import Encoder


class Scorer:
    """One version's ONNX model and its transform of rows to inputs. Immutable and safe to share between threads."""

    def __init__(self, directory: Path, manifest: bundle.Manifest, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(directory / bundle.MODEL), options, providers=["CPUExecutionProvider"]
            )
            self._input: str = self._session.get_inputs()[0].name
            width = self._session.get_inputs()[0].shape[1]
        except Exception as error:  # onnxruntime raises no narrower common class
            raise BundleError(f"{bundle.MODEL} does not load: {error}") from error
        if width != len(manifest.features):
            raise BundleError(f"{bundle.MODEL} takes {width} inputs, its manifest names {len(manifest.features)}")
        self.directory = directory
        self.manifest = manifest
        try:
            self.encoder = Encoder(manifest.contract, manifest.features, manifest.vocabularies)
        except SettingsError as error:
            raise BundleError(str(error)) from error

    def predict(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return predictions, shape (rows,), for model inputs of shape (rows, features)."""
        output = self._session.run(None, {self._input: matrix})[0]
        return np.asarray(output, dtype=np.float64).reshape(-1)

    def predict_rows(self, rows: Columns) -> npt.NDArray[np.float64]:
        """Return predictions, shape (rows,), for rows by column, each array of shape (rows,)."""
        return self.predict(self.encoder.matrix(rows))

    def verify_golden_rows(self) -> None:
        """Compare the model's outputs with its golden rows.

        Raises:
            BundleError: the golden rows do not read, or the model does not reproduce them.
        """
        inputs, expected = golden_rows(self.directory, self.manifest)
        try:
            answers = self.predict(inputs)
        except Exception as error:  # as above
            raise BundleError(f"{bundle.MODEL} does not take its golden rows: {error}") from error
        if answers.shape != expected.shape:
            raise BundleError(f"{bundle.MODEL} gives {len(answers)} numbers for {len(expected)} golden rows")
        off = np.abs(answers - expected)
        # Not `np.any(off > ...)`, which is false for NaN. No golden rows prove nothing.
        if not len(off) or not np.all(off <= self.manifest.tolerance):
            worst = float(np.max(off)) if len(off) else float("nan")
            raise BundleError(f"golden rows: off by up to {worst:.3g}, allowed are {self.manifest.tolerance:.3g}")


def golden_rows(directory: Path, manifest: bundle.Manifest) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return model inputs, shape (rows, features), and the outputs expected for them, shape (rows,).

    Raises:
        BundleError: golden.parquet does not read, or lacks columns.
    """
    try:
        table = pq.ParquetFile(directory / bundle.GOLDEN).read()
        missing = {*manifest.features, bundle.EXPECTED} - set(table.column_names)
        if missing:
            raise BundleError(f"{bundle.GOLDEN} lacks {', '.join(sorted(missing))}")
        inputs = np.column_stack([table[name].to_numpy() for name in manifest.features])
        return inputs.astype(np.float32), table[bundle.EXPECTED].to_numpy().astype(np.float64)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle.GOLDEN} does not read: {error}") from error


_PART_ROWS = (256, 1024)
"""Least and most rows of a part. A smaller part costs more than it gains, and a larger one makes other batches wait.
While all threads have work, parts have the most rows: each waits for the GIL at its start and at its end."""


class ScoringThreads:
    """Threads that share the rows of a large batch.

    They run one session together, which costs no memory: a session with threads of its own is another copy of the
    model, which takes several times its file size in memory. If there are several, they run at a lower priority than
    the threads that answer single rows; a single one keeps its priority, because it occupies one core at most.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or _usable_cores()
        self._pool = ThreadPoolExecutor(self.threads, "cores", initializer=give_way if self.threads > 1 else None)
        self._in_work: set[Future[npt.NDArray[np.float64]]] = set()

    def predict(self, scorer: Scorer, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return predictions, shape (rows,), bit for bit those of `scorer.predict(matrix)`."""
        return np.concatenate([part.result() for part in self.submit(scorer, matrix)])

    def submit(self, scorer: Scorer, matrix: npt.NDArray[np.float32]) -> list[Future[npt.NDArray[np.float64]]]:
        """Submit the rows in parts; return the futures of their predictions in the order of the rows."""
        least, most = _PART_ROWS
        if len(self._in_work) < self.threads:
            most = min(max(math.ceil(len(matrix) / self.threads), least), most)
        submitted = []
        for start in range(0, len(matrix), most):
            part = self._pool.submit(scorer.predict, matrix[start : start + most])
            # Before the callback is added, which runs at once if the part is done.
            self._in_work.add(part)
            part.add_done_callback(self._in_work.discard)
            submitted.append(part)
        return submitted

    def stop(self) -> None:
        """Cancel the parts that have not begun; do not wait for those that run."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_NICER_BY = 5


def give_way(nicer_by: int = _NICER_BY) -> None:
    """Lower the priority of this thread and of threads that it starts, if the system can do that."""
    # On Linux, PRIO_PROCESS with the id of a thread means this thread alone.
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + nicer_by)


def load_version(registry: Registry, version: ModelVersion, cache: Path, threads: int = 1) -> Scorer:
    """Fetch, verify and load a version.

    Raises:
        BundleError: its bundle is missing, does not verify, does not load or does not reproduce its golden rows.
        RegistryUnavailable: the registry does not answer, and the bundle is not in the cache.
    """
    found = fetch_bundle(registry, version, cache)
    scorer = Scorer(found.directory, found.manifest, threads)
    scorer.verify_golden_rows()
    return scorer
