"""Months from a web server, the TLC's by default, which is slow, busy or cut off now and then."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx
import tenacity

from autoops.clock import Clock, SystemClock
from autoops.errors import CorruptFile, NotPublished, SettingsError, SourceUnavailable
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.source import CHUNK_BYTES, FILES, Progress, RawFiles, SourceMetadata
from autoops.months import Month, Period, periods_of

logger = logging.getLogger(__name__)

FIRST_YEAR = 2009
"""The first year that is searched for months where no contract names another."""

T = TypeVar("T")

# Object stores answer 403 for a missing file where clients may not list the folder.
_MISSING = (403, 404)
_PROBED_AT_ONCE = 12


class Again(Exception):
    """A response that another attempt may better."""


class _ServerError(Again):
    """A status of 500 or more."""


class _Failing(SourceUnavailable):
    """The server answers, with an error of its own."""


def retrying(attempts: int, backoff_s: float, *kinds: type[Exception]) -> tenacity.Retrying:
    """Return attempts that are made again after errors of these kinds; `backoff_s` precedes the second and doubles."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(kinds),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(backoff_s, max=30) + tenacity.wait_random(0, backoff_s),
        before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
        reraise=True,
    )


class UrlSource(RawFiles):
    """`timeout_s` is the silence after which one attempt has failed; `backoff_s` precedes the second and doubles."""

    def __init__(
        self,
        base: str,
        *,
        timeout_s: float,
        attempts: int,
        backoff_s: float = 0.5,
        clock: Clock | None = None,
        files: str = FILES,
        first_year: int = FIRST_YEAR,
        kind: type[Period] = Month,
    ) -> None:
        try:
            self._base = httpx.URL(base)
        except httpx.InvalidURL as error:
            raise SettingsError(f"data.source: {base!r} is no URL: {error}") from None
        self.files, self.kind = files, kind
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._earliest = self._first_year = first_year
        self._answered: Period | None = None

    def periods(self) -> list[Period]:
        """Return the periods that the server answers for, in order, wherever they begin and end.

        One for which it answers with errors is left out. Each year since the first is asked for once, and then only
        those since the first that has a file. Of weeks and days, which are many, a year without a file before one with
        files ends the search.

        Raises:
            SourceUnavailable: the server has no file, or answers with nothing but errors for a whole year.
        """
        found: list[Period] = []
        with self._client() as client:
            for year in self._years():
                of_year = self._answering(client, year)
                if found and not of_year and self.kind is not Month:
                    break
                found += of_year
        if not found:
            raise SourceUnavailable(self._holds_none())
        in_order = sorted(found, key=lambda period: period.begins)
        self._first_year = in_order[0].year
        return in_order

    def metadata(self, month: Period) -> SourceMetadata:
        """Return what the server's response to a HEAD request says about the month's file."""
        with self._client() as client:
            return self._head(client, month) or self._refuse(client, month)

    def fetch(self, month: Period, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Download the month's file to `target`, which stays as it was unless a whole parquet file arrives.

        Raises:
            CorruptFile: the server has errors for this month, but not for another.
            _Failing: the server has errors for this month, and no other month; a kind of SourceUnavailable.
        """
        with self._client() as client, atomic_write(target) as file:
            download = partial(self._download, client, month, file, progress)
            try:
                metadata = self._attempt(download, month) or self._refuse(client, month)
            except _Failing as error:
                if self._has_another(client, month):
                    raise CorruptFile(f"{error}, while other months are answered for") from error
                raise
            self._check(file, self._url(month))
        return metadata

    def _url(self, month: Period) -> str:
        """Return the month's URL; a query of the base URL, such as a store's token, stays behind the file's name."""
        return str(self._base.copy_with(path=f"{self._base.path.rstrip('/')}/{self.file_name(month)}"))

    def _client(self) -> httpx.Client:
        # Uncompressed, so that content-length is the file's own length, which `_download` checks.
        return httpx.Client(timeout=self._timeout_s, follow_redirects=True, headers={"accept-encoding": "identity"})

    def _head(self, client: httpx.Client, month: Period) -> SourceMetadata | None:
        return self._attempt(lambda: _metadata_of(client.head(self._url(month))), month)

    def _download(
        self, client: httpx.Client, month: Period, file: BinaryIO, progress: Progress | None
    ) -> SourceMetadata | None:
        # All attempts write to one file, and one that was cut off leaves a part in it.
        file.seek(0)
        file.truncate()
        with client.stream("GET", self._url(month)) as response:
            metadata = _metadata_of(response)
            if metadata is None:
                return None
            for chunk in response.iter_raw(CHUNK_BYTES):
                file.write(chunk)
                if progress:
                    progress(file.tell(), metadata.length)
        if metadata.length not in (None, file.tell()):
            raise Again(f"{file.tell()} of {metadata.length} bytes arrived")
        return metadata

    def _attempt(self, request: Callable[[], T], month: Period) -> T:
        attempts = retrying(self._attempts, self._backoff_s, httpx.TransportError, Again)
        try:
            return attempts(request)
        except (httpx.HTTPError, Again) as error:
            reason = str(error) or type(error).__name__
            kind = _Failing if isinstance(error, _ServerError) else SourceUnavailable
            raise kind(f"{self._url(month)}: {reason}, in the last of {self._attempts} attempts") from error

    def _years(self) -> Iterable[int]:
        """Return the years to search, newest first: an unavailable server is noticed at once."""
        return range(self._newest_year, self._first_year - 1, -1)

    @property
    def _newest_year(self) -> int:
        """Return the year that today's period counts to: a week of the next year may begin in this one."""
        return self.kind.holding(self._clock.now().date()).year

    def _answering(self, client: httpx.Client, year: int) -> list[Period]:
        """Return the months of a year that the server answers for.

        Raises:
            SourceUnavailable: nothing but errors comes of the whole year.
        """
        months = periods_of(self.kind, year)
        with ThreadPoolExecutor(_PROBED_AT_ONCE) as pool:
            outcomes = list(pool.map(partial(self._probe, client), months))
        failures = [outcome for outcome in outcomes if isinstance(outcome, SourceUnavailable)]
        if len(failures) == len(months):
            raise failures[0]
        for failure in failures:
            logger.warning("left out: %s", failure)
        found = [month for month, outcome in zip(months, outcomes, strict=True) if isinstance(outcome, SourceMetadata)]
        # A month that is there: one request for it tells a missing month from an empty server.
        self._answered = found[-1] if found else self._answered
        return found

    def _probe(self, client: httpx.Client, month: Period) -> SourceMetadata | SourceUnavailable | None:
        try:
            return self._head(client, month)
        except SourceUnavailable as error:
            return error

    def _has_another(self, client: httpx.Client, month: Period) -> bool:
        if self._answered not in (None, month) and self._head(client, self._answered):
            return True
        return any(other != month for year in self._years() for other in self._answering(client, year))

    def _refuse(self, client: httpx.Client, month: Period) -> SourceMetadata:
        """Raise the error for a month that the server does not have.

        Raises:
            NotPublished: the server has another month.
            SourceUnavailable: the server has no month at all.
        """
        if "{period}" not in self.files:
            raise NotPublished(f"{self._base} has no {self.files}")
        answers = self._answered is not None and self._head(client, self._answered) is not None
        if not answers and not any(self._answering(client, year) for year in self._years()):
            raise SourceUnavailable(self._holds_none())
        raise NotPublished(f"{month} is not published at {self._base}")

    def _holds_none(self) -> str:
        first, last = periods_of(self.kind, self._earliest)[0], periods_of(self.kind, self._newest_year)[-1]
        return (
            f"data.source: {self._base} has no {self.kind.__name__.lower()} of {first} to {last}: "
            f"expected files such as {self.file_name(last)} there"
        )


def _metadata_of(response: httpx.Response) -> SourceMetadata | None:
    """Return what a response reports about the file; None where the server does not have it, or refuses it.

    Raises:
        _ServerError: the status is 500 or more.
        Again: the server asks for fewer requests.
        SourceUnavailable: the status is another failure.
    """
    status = response.status_code
    if status in _MISSING:
        return None
    if status >= 500:
        raise _ServerError(f"HTTP {status}")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Again(f"HTTP {status}")
    if not response.is_success:
        raise SourceUnavailable(f"{response.url}: HTTP {status}")
    length = response.headers.get("content-length", "")
    return SourceMetadata(
        length=int(length) if length.isdecimal() else None,
        etag=response.headers.get("etag"),
        last_modified=response.headers.get("last-modified"),
    )
