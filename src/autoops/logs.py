"""Log lines for people, the same in every process."""

import logging
import sys


def configure(level: int = logging.INFO) -> None:
    """Time, level, logger and message on stderr; noisy libraries are kept to warnings."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    for name in ("httpx", "alembic", "skl2onnx", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
