"""Walks beside each other, each in a process, with the cores shared between them."""

import logging
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from queue import Empty

from autoops.backtest.simulation import Order, Simulated, simulate
from autoops.errors import AutoOpsError
from autoops.settings import Settings
from autoops.telemetry import logs

Done = Callable[[Order, Simulated], Iterable[Order]]
"""Called with each walk that is done; returns the walks that it makes possible."""

Progress = Callable[[int], None]
"""Called with the months walked so far, by all walks together."""

POLL_S = 0.5


def sharing_cores(settings: Settings, jobs: int) -> Settings:
    """With a forest for each of so many processes that takes its share of the cores; the model is the same."""
    if "n_jobs" not in settings.model.parameters:
        return settings
    parameters = settings.model.parameters | {"n_jobs": max(1, (os.cpu_count() or 1) // jobs)}
    return settings.model_copy(update={"model": settings.model.model_copy(update={"parameters": parameters})})


def simulate_all(orders: Iterable[Order], jobs: int, done: Done, progress: Progress) -> None:
    """Raises what a walk raises; walks that have begun then come to their end, and are kept."""
    context = multiprocessing.get_context("spawn")
    beats: Queue[str] = context.Queue()
    simulated: Counter[str] = Counter()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_join, initargs=(beats,)) as pool:
        running = {pool.submit(_simulate, order): order for order in orders}
        try:
            while running:
                ended, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                simulated.update(_drained(beats))
                for future in ended:
                    order = running.pop(future)
                    result = _result(future, order)
                    simulated[order.name] = len(result["months"])
                    running |= {pool.submit(_simulate, more): more for more in done(order, result)}
                progress(simulated.total())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _result(future: Future[Simulated], order: Order) -> Simulated:
    try:
        return future.result()
    except BrokenProcessPool as error:
        reason = f"the process that walked {order.name} or one beside it died, out of memory perhaps: try fewer --jobs"
        raise AutoOpsError(reason) from error


def _drained(beats: "Queue[str]") -> Iterable[str]:
    while True:
        try:
            yield beats.get_nowait()
        except Empty:
            return


_beats: "Queue[str]"


def _join(beats: "Queue[str]") -> None:
    """In each process at its start."""
    global _beats
    _beats = beats
    serve_the_parent()


def serve_the_parent() -> None:
    """For a process of a pool, at its start: warnings of single runs would drown what the command says, and a parent
    that dies takes it along."""
    logs.configure("cli", logging.ERROR)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A parent that is killed tells nobody, and whoever starts again must find the workspace at rest."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _simulate(order: Order) -> Simulated:
    return simulate(order, lambda: _beats.put(order.name))
