"""The source that the settings name."""

import re
from pathlib import Path

from autoops.ingestion.converted import ConvertedSource, OneFileSource
from autoops.ingestion.source import TLC_FILES, DirectorySource, Source
from autoops.ingestion.url_source import UrlSource
from autoops.settings import Data
from autoops.usecase.contract import Contract
from autoops.usecase.functions import resolve


def open_source(data: Data, contract: Contract | None = None) -> Source:
    """Return the source that `data.source` names: http:// and https:// are URLs, all else is a directory.

    The contract says which files it holds; fetched they are parquet of one month each.

    Raises:
        SettingsError: `prepare` names a function that is not there.
    """
    files = contract.source.files if contract else TLC_FILES
    source: Source
    if re.match("https?://", data.source, re.IGNORECASE):
        source = UrlSource(data.source, timeout_s=data.timeout_s, attempts=data.attempts, files=files)
    else:
        source = DirectorySource(Path(data.source).expanduser(), files)
    if contract is None:
        return source
    if contract.prepare:
        resolve(contract.prepare, "prepare")
    if "{period}" not in files:
        return OneFileSource(source, contract)
    return ConvertedSource(source, contract) if contract.source.is_csv or contract.prepare else source
