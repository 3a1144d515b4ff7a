"""Who runs a verb, for the ledger, and as what."""

import getpass
import os
import uuid


def new_run_id() -> str:
    return f"cli-{uuid.uuid4()}"


def actor() -> str:
    """The user's name; a container's user may have none, and is a number then."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"cli:{name}"
