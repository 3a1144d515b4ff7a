"""The source that the settings name."""

import re
from pathlib import Path

from autoops.ingestion.source import TLC_FILES, DirectorySource, Source
from autoops.ingestion.url_source import UrlSource
from autoops.settings import Data


def open_source(data: Data, files: str = TLC_FILES) -> Source:
    """Return the source that `data.source` names: http:// and https:// are URLs, all else is a directory.

    `files` is the name of a month's raw file, with `{period}` in the month's place.
    """
    if re.match("https?://", data.source, re.IGNORECASE):
        return UrlSource(data.source, timeout_s=data.timeout_s, attempts=data.attempts, files=files)
    return DirectorySource(Path(data.source).expanduser(), files)
