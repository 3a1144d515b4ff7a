"""What the services themselves say when an act has failed."""

import re
from collections import defaultdict, deque

from tests.stack.compose import ComposeError, Stack

READ, TOLD, CHARACTERS = "400", 30, 240
SMALL_TALK = re.compile(r"\[(info|debug) *\]|^INFO:|GET /(ready|metrics|health)")


def told_by(stack: Stack) -> list[tuple[str, str]]:
    """Titles and texts: the state of every container, and the end of every service's log without its small talk."""
    try:
        logs = stack.compose("logs", "--no-color", "--tail", READ)
        return [("docker compose ps", stack.compose("ps", "--all")), ("docker compose logs", worth_telling(logs))]
    except (ComposeError, OSError) as error:
        return [("docker compose", str(error))]


def worth_telling(logs: str) -> str:
    last: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=TOLD))
    for line in logs.replace("\x1b[2K", "").splitlines():
        service, _, text = line.partition("|")
        if not SMALL_TALK.search(text.strip()):
            last[service].append(line[:CHARACTERS])
    return "\n".join(line for lines in last.values() for line in lines)
