"""The source that the settings name."""

import re
from pathlib import Path

from autoops.errors import SettingsError
from autoops.ingestion.assembled import AssembledSource
from autoops.ingestion.converted import ConvertedSource, OneFileSource
from autoops.ingestion.source import FILES, DirectorySource, RawFiles, Source
from autoops.ingestion.sql_source import SqlSource
from autoops.ingestion.store_source import SCHEMES, StoreSource
from autoops.ingestion.url_source import FIRST_YEAR, UrlSource
from autoops.months import KINDS
from autoops.settings import Data
from autoops.usecase.contract import Contract
from autoops.usecase.functions import resolve


def open_source(data: Data, contract: Contract | None = None) -> Source:
    """Return the source that `data.source` names: a web server, an object store, a directory, or a database.

    The contract says which files it holds; fetched they are parquet of one month each.

    Raises:
        SettingsError: the URL is wrong, an extra is not installed, or `prepare` names a function that is not there.
    """
    files, first_year = (contract.source.files, contract.event_time.earliest) if contract else (FILES, FIRST_YEAR)
    if contract and contract.prepare:
        resolve(contract.prepare, "prepare")
    if contract and contract.source.sql:
        return SqlSource(data.source, contract, timeout_s=data.timeout_s, attempts=data.attempts)
    kind = KINDS[contract.source.period if contract else "month"]
    source: RawFiles
    scheme = match[1].lower() if (match := re.match("([a-z][a-z0-9+.-]*)://", data.source, re.IGNORECASE)) else None
    if scheme in ("http", "https"):
        source = UrlSource(
            data.source,
            timeout_s=data.timeout_s,
            attempts=data.attempts,
            files=files,
            first_year=first_year,
            kind=kind,
        )
    elif scheme in SCHEMES:
        source = StoreSource(data.source, timeout_s=data.timeout_s, attempts=data.attempts, files=files, kind=kind)
    elif scheme:
        known = ", ".join(("http", "https", *SCHEMES))
        raise SettingsError(f"data.source: {scheme}:// is none of {known}; a database needs a query, source.sql")
    else:
        source = DirectorySource(Path(data.source).expanduser(), files, kind)
    if contract is None:
        return source
    if "{period}" not in files:
        return OneFileSource(source, contract)
    if contract.source.period != "month":
        return AssembledSource(source, contract)
    return ConvertedSource(source, contract) if contract.is_converted else source
