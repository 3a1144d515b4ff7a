"""Whatever a file of trips holds, `autoops predict` scores it or says in an AutoOpsError what is wrong; so with
whatever an API at --url answers. No file is left that is not whole."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from autoops.errors import CorruptFile, DataError, InputError, ServiceUnavailable
from autoops.serving.offline.parquet import FileScorer
from autoops.serving.offline.remote import RemoteModel
from autoops.serving.payloads import arrow
from autoops.serving.payloads.arrow import ArrowReader
from autoops.serving.payloads.batch import Batch
from tests.arrow_streams import trip_table
from tests.fuzz.attempts import attempt
from tests.fuzz.strategies import mutations, odd_tables
from tests.fuzz.test_months import encoded
from tests.taxi import CONTRACT, MODELS

fuzzed = hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
score, read = FileScorer(CONTRACT).score, ArrowReader(MODELS).read
TRIPS = trip_table(40, request_id=pa.array([f"ride-{i}" for i in range(40)]), other=pa.array(["a"] * 40))


class Distance:
    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        return batch.features["trip_distance"], np.full(len(batch), 1, dtype=np.int32)


def score_or_refuse(folder: Path, content: bytes) -> str:
    source, target = folder / "in.parquet", folder / "out.parquet"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    done, refusal = attempt(
        lambda: score(source, target, Distance(), 15, lambda done, total: None), InputError, DataError
    )
    if done is None:
        assert [path.name for path in folder.iterdir()] == ["in.parquet"]
        return str(refusal)
    assert pq.read_metadata(target).num_rows == done.rows
    return ""


@fuzzed
@given(mutations(encoded(TRIPS)))
def test_a_mutated_file(tmp_path: Path, content: bytes) -> None:
    score_or_refuse(tmp_path, content)


@fuzzed
@given(odd_tables(TRIPS.slice(0, 4)).map(encoded))
def test_columns_of_any_type(tmp_path: Path, content: bytes) -> None:
    score_or_refuse(tmp_path, content)


@pytest.mark.parametrize("name", ["pickup_at", "request_id", "other"])
def test_strings_that_are_no_text(tmp_path: Path, name: str) -> None:
    offsets = pa.py_buffer(np.array([0, 2], dtype=np.int32).tobytes())
    column = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"\xff\xfe"))
    table = TRIPS.slice(0, 1)
    table = table.set_column(table.column_names.index(name), name, column)
    assert "the rows from 0 on do not read" in score_or_refuse(tmp_path, encoded(table))


class Elsewhere(BaseHTTPRequestHandler):
    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[RemoteModel]:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            yield RemoteModel(client, CONTRACT)
        server.shutdown()
        thread.join()


ANSWER = pa.table({"trip_duration_minutes": [9.5] * 3, "model_version": pa.array([2] * 3, pa.int32())})


@fuzzed
@given(mutations(arrow.write(ANSWER)) | odd_tables(ANSWER).map(arrow.write) | st.binary(max_size=30))
@example(b"<html>not an API</html>")
@example(arrow.write(ANSWER.slice(0, 2)))
def test_answers_of_an_api_elsewhere(elsewhere: RemoteModel, body: bytes) -> None:
    Elsewhere.body = body
    trips = trip_table(3)
    answered, _ = attempt(lambda: elsewhere.predict(read(arrow.write(trips), 3)), ServiceUnavailable)
    if answered is not None:
        minutes, versions = answered
        assert (len(minutes), minutes.dtype, len(versions), versions.dtype) == (3, np.float64, 3, np.int32)


def test_a_corrupt_file_names_itself(tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1PAR1")
    with pytest.raises(CorruptFile, match=r"in\.parquet does not read"):
        score(tmp_path / "in.parquet", tmp_path / "out.parquet", Distance(), 15, lambda done, total: None)
