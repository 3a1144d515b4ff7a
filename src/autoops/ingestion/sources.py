"""The source that the settings name."""

import re
from pathlib import Path

from autoops.ingestion.source import DirectorySource, Source
from autoops.ingestion.url_source import UrlSource
from autoops.settings import Data


def open_source(data: Data) -> Source:
    """Return the source that `data.source` names: http:// and https:// are URLs, all else is a directory."""
    if re.match("https?://", data.source, re.IGNORECASE):
        return UrlSource(data.source, timeout_s=data.timeout_s, attempts=data.attempts)
    return DirectorySource(Path(data.source).expanduser())
