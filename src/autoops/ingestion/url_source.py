"""Months from a web server, the TLC's by default, which now and then is slow, busy or cut off."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx
import tenacity

from autoops.errors import NotPublished, SettingsError, SourceUnavailable
from autoops.ingestion.landing import check_parquet, landing
from autoops.ingestion.source import CHUNK_BYTES, Progress, Source, Stamp, file_name
from autoops.months import Month

logger = logging.getLogger(__name__)

KNOWN_MONTH = Month(2022, 1)
"""Published for good by the TLC: while a URL answers for it, a refusal of another month means not published."""

T = TypeVar("T")

_MISSING = (403, 404)
_PROBED_AT_ONCE = 12
_GAP = 3
_LAST_YEAR = 2099


class _Again(Exception):
    """An answer that another attempt may better."""


class UrlSource(Source):
    """`timeout_s` is the silence after which one attempt has failed; `backoff_s` precedes the second and doubles."""

    def __init__(
        self, base: str, *, timeout_s: float, attempts: int, backoff_s: float = 0.5, known: Month = KNOWN_MONTH
    ) -> None:
        try:
            httpx.URL(base)
        except httpx.InvalidURL as error:
            raise SettingsError(f"data.source: {base!r} is no URL: {error}") from None
        self._base = base.rstrip("/")
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._known = known

    def published(self) -> list[Month]:
        """Probes month after month from the known one on, until the last of a dozen are missing."""
        found: list[Month] = []
        month = self._known
        with self._client() as client, ThreadPoolExecutor(_PROBED_AT_ONCE) as pool:
            self._require_known(client)
            while month.year <= _LAST_YEAR:
                block = [month.plus(count) for count in range(_PROBED_AT_ONCE)]
                stamps = list(pool.map(partial(self._head, client), block))
                found += [month for month, stamp in zip(block, stamps, strict=True) if stamp]
                if not any(stamps[-_GAP:]):
                    break
                month = month.plus(_PROBED_AT_ONCE)
        return found

    def stamp(self, month: Month) -> Stamp:
        with self._client() as client:
            return self._head(client, month) or self._refuse(client, month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> Stamp:
        with self._client() as client, landing(target) as file:
            download = partial(self._download, client, month, file, progress)
            stamp = self._attempt(download, month) or self._refuse(client, month)
            check_parquet(file, self._url(month))
        return stamp

    def _url(self, month: Month) -> str:
        return f"{self._base}/{file_name(month)}"

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=self._timeout_s, follow_redirects=True, headers={"accept-encoding": "identity"})

    def _head(self, client: httpx.Client, month: Month) -> Stamp | None:
        return self._attempt(lambda: _stamp_of(client.head(self._url(month))), month)

    def _download(self, client: httpx.Client, month: Month, file: BinaryIO, progress: Progress | None) -> Stamp | None:
        file.seek(0)
        file.truncate()
        with client.stream("GET", self._url(month)) as response:
            stamp = _stamp_of(response)
            if stamp is None:
                return None
            for chunk in response.iter_raw(CHUNK_BYTES):
                file.write(chunk)
                if progress:
                    progress(file.tell(), stamp.length)
        if stamp.length not in (None, file.tell()):
            raise _Again(f"{file.tell()} of {stamp.length} bytes arrived")
        return stamp

    def _attempt(self, request: Callable[[], T], month: Month) -> T:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _Again)),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential(self._backoff_s, max=30) + tenacity.wait_random(0, self._backoff_s),
            before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )
        try:
            return attempts(request)
        except (httpx.HTTPError, _Again) as error:
            reason = str(error) or type(error).__name__
            raise SourceUnavailable(
                f"{self._url(month)}: {reason}, in the last of {self._attempts} attempts"
            ) from error

    def _require_known(self, client: httpx.Client) -> None:
        if self._head(client, self._known) is None:
            raise SourceUnavailable(
                f"data.source: {self._base} refuses even {file_name(self._known)}, which is known to be published"
            )

    def _refuse(self, client: httpx.Client, month: Month) -> Stamp:
        self._require_known(client)
        raise NotPublished(f"{month} is not published at {self._base}")


def _stamp_of(response: httpx.Response) -> Stamp | None:
    """None where the server does not have the file, or says so by refusing it."""
    status = response.status_code
    if status in _MISSING:
        return None
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        raise _Again(f"HTTP {status}")
    if not response.is_success:
        raise SourceUnavailable(f"{response.url}: HTTP {status}")
    length = response.headers.get("content-length", "")
    return Stamp(
        length=int(length) if length.isdecimal() else None,
        etag=response.headers.get("etag"),
        last_modified=response.headers.get("last-modified"),
    )
