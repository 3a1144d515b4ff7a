"""The actor and the run id of a verb, for the ledger."""

import getpass
import os
import uuid


def new_run_id() -> str:
    return f"cli-{uuid.uuid4()}"


def actor() -> str:
    """Return the user as `cli:NAME`; a user without a name, as in a container, is `cli:uid NUMBER`."""
    try:
        name = getpass.getuser()
    # For a uid without an entry: KeyError up to Python 3.12, OSError from 3.13 on.
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"cli:{name}"
