"""Check that the addresses on which the services will listen are free."""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from autoops.errors import Conflict, SettingsError
from autoops.services.programs import Listens, Program
from autoops.settings import address


def require_free(programs: Sequence[Program]) -> None:
    """Bind every address once, all at the same time, so that two programs with one address fail too.

    Raises:
        Conflict: an address is in use; the message names service, port and setting.
        SettingsError: an address cannot be bound, such as one of another machine.
    """
    with ExitStack() as held:
        for program in programs:
            if program.listens:
                held.enter_context(_bound(program, program.listens))


def _bound(program: Program, listens: Listens) -> socket.socket:
    family = socket.AF_INET6 if ":" in listens.host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    # As servers do: closing connections do not count as use of the port, a listener does.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((listens.host, listens.port))
        # With SO_REUSEADDR two sockets can bind one address until one of them listens.
        probe.listen(1)
    except OSError as error:
        probe.close()
        raise _refusal(program, listens, error) from None
    return probe


def _refusal(program: Program, listens: Listens, error: OSError) -> Conflict | SettingsError:
    where, variable = address(listens.host, listens.port), f"AUTOOPS__{listens.setting.replace('.', '__')}".upper()
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"{program.service}: {where} is in use by another process; stop that, or choose another port "
            f"with {listens.setting} ({variable})"
        )
    return SettingsError(f"{listens.setting}: {program.service} cannot listen on {where}: {error.strerror or error}")
