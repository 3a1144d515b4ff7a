"""Processes of one home, found by the environment variable that all of them inherit.

A process group or a parent's id would miss processes that outlive a killed supervisor, and Airflow's tasks, which lead
groups of their own. A name would match other people's processes.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from autoops.services.environment import HOME_VARIABLE


def of_home(home: Path) -> list[psutil.Process]:
    """Return all living processes of the home but this one and its ancestors."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in spared and _carries(process, home)]


def _carries(process: psutil.Process, home: Path) -> bool:
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and process.environ().get(HOME_VARIABLE) == str(home)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def listens(pid: int, port: int) -> bool:
    """Return whether the process `pid`, or a descendant of it, listens on `port`."""
    try:
        process = psutil.Process(pid)
        return any(_listens(one, port) for one in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return False


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # a child has just ended; the others may still listen
        return False


def end(home: Path, timeout_s: float = 5) -> int:
    """End all processes of the home, by SIGTERM and after `timeout_s` by SIGKILL; return how many there were.

    Repeats until none is left, because a dying parent may still have started one.
    """
    ended = 0
    while found := of_home(home):
        ended += len(found)
        _end(found, timeout_s)
    return ended


def _end(found: Sequence[psutil.Process], timeout_s: float) -> None:
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout_s)
