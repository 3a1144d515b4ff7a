"""Are the addresses free on which the services will listen?"""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from autoops.errors import Conflict, SettingsError
from autoops.services.programs import Listens, Program
from autoops.settings import address


def require_free(programs: Sequence[Program]) -> None:
    """Binds every address once, all at the same time, so that two of them cannot be the same either.
    Raises Conflict that names service, port and setting, or SettingsError for a host that is not this machine."""
    with ExitStack() as held:
        for program in programs:
            if program.listens:
                held.enter_context(_bound(program, program.listens))


def _bound(program: Program, listens: Listens) -> socket.socket:
    family = socket.AF_INET6 if ":" in listens.host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    # As servers do: connections that are still closing do not count, a listener does.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((listens.host, listens.port))
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
