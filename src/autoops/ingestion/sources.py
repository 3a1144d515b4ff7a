"""The source that the settings name."""

import re
from pathlib import Path

from autoops.ingestion.converted import ConvertedSource, OneFileSource
from autoops.ingestion.source import FILES, DirectorySource, Source
from autoops.ingestion.url_source import FIRST_YEAR, UrlSource
from autoops.settings import Data
from autoops.usecase.contract import Contract
from autoops.usecase.functions import resolve


def open_source(data: Data, contract: Contract | None = None) -> Source:
    """Return the source that `data.source` names: http:// and https:// are URLs, all else is a directory.

    The contract says which files it holds; fetched they are parquet of one month each.

    Raises:
        SettingsError: `prepare` names a function that is not there.
    """
    files, first_year = (contract.source.files, contract.event_time.earliest) if contract else (FILES, FIRST_YEAR)
    source: Source
    if re.match("https?://", data.source, re.IGNORECASE):
        source = UrlSource(
            data.source, timeout_s=data.timeout_s, attempts=data.attempts, files=files, first_year=first_year
        )
    else:
        source = DirectorySource(Path(data.source).expanduser(), files)
    if contract is None:
        return source
    if contract.prepare:
        resolve(contract.prepare, "prepare")
    if "{period}" not in files:
        return OneFileSource(source, contract)
    return ConvertedSource(source, contract) if contract.is_converted else source
