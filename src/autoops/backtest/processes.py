"""Simulations side by side, each in a process, with the cores shared between them."""

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
"""Called with each finished simulation; returns the simulations that it makes possible."""

Progress = Callable[[int], None]
"""Called with the months simulated so far, by all simulations together."""

POLL_S = 0.5


def sharing_cores(settings: Settings, jobs: int) -> Settings:
    """Return the settings with `n_jobs`, where the model has it, cut to one process's share of the cores.

    The fitted model is the same.
    """
    if "n_jobs" not in settings.model.parameters:
        return settings
    parameters = settings.model.parameters | {"n_jobs": max(1, (os.cpu_count() or 1) // jobs)}
    return settings.model_copy(update={"model": settings.model.model_copy(update={"parameters": parameters})})


def simulate_all(orders: Iterable[Order], jobs: int, done: Done, progress: Progress) -> None:
    """Run the orders in `jobs` processes, and those that `done` returns.

    The first error of a simulation is raised as it is. Simulations that have begun then run to their end, and their
    results are cached.

    Raises:
        AutoOpsError: a process of the pool died.
    """
    # spawn: a fork copies locks that other threads hold, and nobody releases the copies.
    context = multiprocessing.get_context("spawn")
    beats: Queue[str] = context.Queue()
    simulated: Counter[str] = Counter()
    # Queues cannot be arguments of `submit`: a process can inherit one at its start only.
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_join, initargs=(beats,)) as pool:
        running = {pool.submit(_simulate, order): order for order in orders}
        try:
            while running:
                ended, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                simulated.update(_drained(beats))
                for future in ended:
                    order = running.pop(future)
                    result = _result(future, order)
                    # A cached result sends no beats.
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
    """Prepare a process of the pool at its start."""
    global _beats
    _beats = beats
    serve_the_parent()


def serve_the_parent() -> None:
    """Prepare a process of a pool at its start: log errors only, and exit when the parent dies.

    Warnings of single simulations would drown the command's own output.
    """
    logs.configure("cli", logging.ERROR)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """Wait until the parent dies, then exit.

    A killed parent cannot stop its processes, and the next backtest must find the workspace unused.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    # sys.exit would end this thread only.
    os._exit(1)


def _simulate(order: Order) -> Simulated:
    return simulate(order, lambda: _beats.put(order.name))
