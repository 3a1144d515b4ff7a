"""How a file comes into being: whole, or not at all."""

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
    """A temporary file in the target's folder that takes the target's place when the block ends well.

    When it does not, the temporary file is gone and an older target stands as it was. An OSError of the block is
    taken for one of writing, a full disk say, and becomes StorageUnavailable.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"{target}: cannot be written: {error.strerror or error}") from error


def check_parquet(file: BinaryIO, name: str) -> None:
    """Raises CorruptFile unless the written file ends in a parquet footer, EmptyMonth when that counts no rows.

    The footer is a parquet file's last part: one still being copied does not have it.
    """
    file.flush()
    try:
        rows = pq.read_metadata(file.name).num_rows
    except (pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{name}: truncated, or not a parquet file") from error
    if rows == 0:
        raise EmptyMonth(f"{name}: the file holds no rows")
