"""Months from object stores, against a real S3 server in this process."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pyarrow.parquet as pq
import pytest
import requests
from moto.server import ThreadedMotoServer

from autoops import redaction
from autoops.errors import CorruptFile, NotPublished, SettingsError, SourceUnavailable
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import CHUNK_BYTES
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.ingestion.store_source import StoreSource
from autoops.settings import Data
from tests.ports import free_port
from tests.unit.ingestion.test_converted import FEBRUARY, JANUARY, MARCH, contract_of, sales

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY"
FILES = "sales_{period}.parquet"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an S3 server."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A client of the server, on which there is an empty bucket `shop`; the environment names server and key."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    for listed in client.list_objects_v2(Bucket="shop").get("Contents", []):
        client.delete_object(Bucket="shop", Key=listed["Key"])
    return client


def put(s3: Any, tmp_path: Path, name: str, *times: str) -> None:
    path = tmp_path / name
    if name.endswith(".parquet"):
        sales(*times).to_parquet(path)
    else:
        sales(*times).to_csv(path, index=False)
    s3.upload_file(str(path), "shop", f"raw/{name}")


def store_of(url: str = "s3://shop/raw/", attempts: int = 2) -> StoreSource:
    return StoreSource(url, timeout_s=5, attempts=attempts, backoff_s=0.01, files=FILES)


def forbid(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign as a key that the server does not know: of it, and only of it, the server asks for permission."""
    requests.post(f"{server}/moto-api/reset-auth", data=b"0", timeout=5).raise_for_status()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000")


def test_months_of_a_bucket_are_fetched_as_they_are_now(s3: Any, tmp_path: Path) -> None:
    contract = contract_of(FILES)
    put(s3, tmp_path, "sales_2026-01.parquet", "2026-01-03", "2026-01-04")
    put(s3, tmp_path, "sales_2026-03.parquet", "2026-03-03")
    put(s3, tmp_path, "notes.parquet", "2026-03-03")
    source = open_source(Data(source="s3://shop/raw"), contract)
    store = MonthStore(tmp_path / "months", cleaner_of(contract))
    assert source.published() == [JANUARY, MARCH]
    assert [store.ingest(source, JANUARY).status for _ in range(2)] == ["ingested", "unchanged"]
    with pytest.raises(NotPublished, match=r"s3://shop/raw has no sales_2026-02\.parquet"):
        source.fetch(FEBRUARY, tmp_path / "february.parquet")
    assert not (tmp_path / "february.parquet").exists()

    put(s3, tmp_path, "sales_2026-01.parquet", "2026-01-03", "2026-01-04", "2026-01-05")
    put(s3, tmp_path, "sales_2026-02.parquet", "2026-02-03")
    again = store.ingest(source, JANUARY)
    assert (again.status, again.rows) == ("republished", 3)
    assert source.published() == [JANUARY, FEBRUARY, MARCH]


@pytest.mark.parametrize("files", ["sales.csv.gz", "sales.csv"])
def test_one_csv_of_a_bucket_is_split(files: str, s3: Any, tmp_path: Path) -> None:
    put(s3, tmp_path, files, "2026-01-03", "2026-03-03", "2026-03-04")
    source = open_source(Data(source="s3://shop/raw/"), contract_of(files))
    assert source.published() == [JANUARY, MARCH]
    source.fetch(MARCH, tmp_path / "march.parquet")
    assert pq.read_metadata(tmp_path / "march.parquet").num_rows == 2


def test_an_object_that_is_replaced_while_it_is_read_comes_from_one_edition(s3: Any, tmp_path: Path) -> None:
    first, second = bytes(CHUNK_BYTES * 3), b"1" * CHUNK_BYTES * 3
    source = StoreSource("s3://shop/raw", timeout_s=5, attempts=3, backoff_s=0.01, files="{period}.csv")
    s3.put_object(Bucket="shop", Key="raw/2026-01.csv", Body=first)

    def replace_once(arrived: int, length: int | None) -> None:
        if s3.head_object(Bucket="shop", Key="raw/2026-01.csv")["ETag"] == before.etag:
            s3.put_object(Bucket="shop", Key="raw/2026-01.csv", Body=second)

    before = source.metadata(JANUARY)
    assert source.fetch(JANUARY, tmp_path / "january.csv", replace_once) == source.metadata(JANUARY) != before
    assert (tmp_path / "january.csv").read_bytes() == second

    def replace_always(arrived: int, length: int | None) -> None:
        s3.put_object(Bucket="shop", Key="raw/2026-01.csv", Body=str(arrived + len(changes)).encode() * CHUNK_BYTES)
        changes.append(arrived)

    changes: list[int] = []
    with pytest.raises(SourceUnavailable, match="changed while it was read, in the last of 3 attempts"):
        source.fetch(JANUARY, tmp_path / "january.csv", replace_always)
    assert (tmp_path / "january.csv").read_bytes() == second


def test_a_bucket_that_is_missing_or_empty_is_no_month(s3: Any, tmp_path: Path) -> None:
    for url in ("s3://nobodys", "s3://shop/raw"):
        source = store_of(url)
        for call in (source.published, partial(source.metadata, JANUARY)):
            with pytest.raises(SourceUnavailable, match=f"data.source: {url} does not exist, or holds no file"):
                call()


def test_a_truncated_object_leaves_the_target_as_it_was(s3: Any, tmp_path: Path) -> None:
    put(s3, tmp_path, "sales_2026-01.parquet", "2026-01-03")
    whole = (tmp_path / "sales_2026-01.parquet").read_bytes()
    s3.put_object(Bucket="shop", Key="raw/sales_2026-01.parquet", Body=whole[:-9])
    target = tmp_path / "target.parquet"
    target.write_text("older")
    with pytest.raises(CorruptFile, match=r"s3://shop/raw/sales_2026-01\.parquet: truncated"):
        store_of().fetch(JANUARY, target)
    assert target.read_text() == "older"


def test_a_bucket_without_permission_is_said(
    s3: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, tmp_path, "sales_2026-01.parquet", "2026-01-03")
    forbid(server, monkeypatch)
    try:
        source = store_of()
        for call in (source.published, partial(source.fetch, JANUARY, tmp_path / "target.parquet")):
            with pytest.raises(SourceUnavailable, match="s3://shop/raw: no permission to list it") as refused:
                call()
            assert SECRET not in str(refused.value)
    finally:
        requests.post(f"{server}/moto-api/reset-auth", data=b"inf", timeout=5)


def test_an_endpoint_that_does_not_answer_is_tried_again(
    s3: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SourceUnavailable, match=r"Could not connect to the endpoint URL.*in the last of 2 attempts"):
        store_of().published()
    assert len([record for record in caplog.records if record.name.endswith("url_source")]) == 1
    assert SECRET not in caplog.text


def test_what_a_url_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="names no bucket: expected s3://BUCKET/FOLDER"):
        store_of("s3://")
    with pytest.raises(SettingsError, match=r"data\.source: ftp:// is none of http, https, s3, gs, az"):
        open_source(Data(source="ftp://host/raw"))
    redaction.remember([SECRET])
    with pytest.raises(SourceUnavailable) as refused:
        store_of(f"s3://key:{SECRET}@nobodys/raw").published()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(("scheme", "library"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_the_other_stores_open_and_are_refused_without_their_library(
    scheme: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fsspec keeps the classes that it has found.
    for name in ("gs", "gcs", "az", "abfs"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, name, raising=False)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, library, None)
        with pytest.raises(
            SettingsError, match=rf"{scheme}:// needs the extra `stores`: pip install 'autoops\[stores\]'"
        ):
            store_of(f"{scheme}://shop/raw")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "shop")
    # Otherwise the library looks for credentials in all places that it knows.
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    opened = store_of(f"{scheme}://shop/raw")
    assert opened.file_name(JANUARY) == "sales_2026-01.parquet"
    if scheme == "gs":
        assert type(opened._store).__module__ == "gcsfs.core", "the class that asks for the kind of each bucket"
