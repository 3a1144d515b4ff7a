"""Atomic writes: a file comes into being whole, or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import CorruptFile, EmptyMonth, StorageUnavailable


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file in the target's folder, which takes the target's place when the block ends well.

    When it does not, the temporary file is removed, and an older target stays as it was.

    Raises:
        StorageUnavailable: the file cannot be written; an OSError of the block is taken for that, a full disk say.
    """
    # Beside the target: a rename is atomic within one file system only. The uuid keeps processes
    # apart that write the same target at once.
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                yield file
                # Before the rename: a power failure could otherwise leave an empty target.
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"{target}: cannot be written: {error.strerror or error}") from error


def check_parquet(file: BinaryIO, name: str) -> None:
    """Require that the written file is a whole parquet file with rows.

    The footer is a parquet file's last part: a file that is still being copied does not have it.

    Raises:
        CorruptFile: the file does not end in a parquet footer.
        EmptyMonth: the footer counts no rows.
    """
    # The footer is read through the file's name, and Python's buffer is not in the file yet.
    file.flush()
    try:
        rows = pq.read_metadata(file.name).num_rows
    except (pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{name}: truncated, or not a parquet file") from error
    if rows == 0:
        raise EmptyMonth(f"{name}: the file holds no rows")
