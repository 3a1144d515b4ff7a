from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.errors import AutoOpsError, CorruptFile, InputError, ServiceUnavailable
from autoops.models import bundle
from autoops.models.scoring import Scorer, ScoringThreads
from autoops.serving.offline.parquet import FileScorer, LocalModel, Scored
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.validation_errors import InvalidRows
from autoops.usecase.columns import columns_of
from tests.arrow_streams import trip_table, watched_memory
from tests.bundles import small_training_run, synthetic_trips
from tests.taxi import CONTRACT, as_sent

SCORER = FileScorer(CONTRACT)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    run = small_training_run(tmp_path_factory.mktemp("bundle"))
    return Scorer(run.bundle, bundle.verify(run.bundle, run.tags["bundle_digest"]))


class Asked:
    """Predicts the distance, and keeps how many rows came at a time."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.sizes: list[int] = []
        self._fails_at = fails_at

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        if len(self.sizes) == self._fails_at:
            raise ServiceUnavailable("gone")
        self.sizes.append(len(batch))
        return batch.features["trip_distance"], np.full(len(batch), len(self.sizes), dtype=np.int32)


def write(path: Path, table: pa.Table, row_group_size: int | None = None) -> Path:
    pq.write_table(table, path, row_group_size)
    return path


def run(source: Path, target: Path, model: Any = None, rows: int = 100) -> Scored:
    return SCORER.score(source, target, model or Asked(), rows, lambda done, total: None)


def test_rows_come_out_as_they_were_with_the_versions_predictions(tmp_path: Path, scorer: Scorer) -> None:
    made = synthetic_trips(rows=1050, seed=4)
    trips = as_sent(made)
    trips.to_parquet(tmp_path / "in.parquet")
    done = run(tmp_path / "in.parquet", tmp_path / "out.parquet", LocalModel(scorer, 7, ScoringThreads(2)), rows=256)
    assert done == Scored(1050, (7,))
    out = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(out[list(trips.columns)], trips)
    assert np.array_equal(out["prediction"], scorer.predict_rows(columns_of(made)))
    assert (out["model_version"] == 7).all()


def test_it_goes_piece_by_piece_and_tells_how_far_it_is(tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", trip_table(250), row_group_size=1000)
    told, asked = [], Asked()
    done = SCORER.score(source, tmp_path / "out.parquet", asked, 100, lambda rows, total: told.append((rows, total)))
    assert asked.sizes == [100, 100, 50]
    assert told == [(100, 250), (200, 250), (250, 250)]
    assert done == Scored(250, (1, 2, 3))
    assert run(write(source, trip_table(0)), tmp_path / "none.parquet") == Scored(0, ())
    assert pq.read_table(tmp_path / "none.parquet").column_names[-2:] == ["prediction", "model_version"]


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ({"pickup_at": None}, ["pickup_at"]),
        ({"pickup_at": None, "trip_distance": None}, ["pickup_at", "trip_distance"]),
        ({"passenger_count": pa.array(["1"] * 250)}, ["passenger_count"]),
        ({"prediction": pa.array([1.0] * 250)}, ["prediction"]),
        ({"trip_distance": pa.array([1.0] * 249 + [-1.0])}, ["trip_distance.249"]),
        ({"pickup_at": pa.array(["2023-01-10T10:30:00"] * 120 + [None] * 130)}, ["pickup_at.120", "pickup_at.121"]),
    ],
    ids=["no time", "two missing", "wrong type", "scored before", "out of bounds", "times missing"],
)
def test_what_is_wrong_is_named_by_column_and_row_and_no_file_is_left(
    tmp_path: Path, columns: dict[str, Any], fields: list[str]
) -> None:
    source = write(tmp_path / "in.parquet", trip_table(250, **columns, other=pa.array(["a"] * 250)))
    with pytest.raises(InvalidRows) as caught:
        run(source, tmp_path / "out.parquet")
    assert [problem.field for problem in caught.value.listed][:2] == fields
    assert names(tmp_path) == ["in.parquet"]


@pytest.mark.parametrize(
    ("source", "target", "error", "words"),
    [
        ("none.parquet", "out.parquet", InputError, "none.parquet: no such file"),
        ("text.parquet", "out.parquet", CorruptFile, "text.parquet does not read"),
        ("in.parquet", "nowhere/out.parquet", InputError, "nowhere/out.parquet cannot be written"),
    ],
)
def test_a_file_that_is_none_is_said(
    tmp_path: Path, source: str, target: str, error: type[AutoOpsError], words: str
) -> None:
    write(tmp_path / "in.parquet", trip_table(5))
    (tmp_path / "text.parquet").write_text("a,b,c\n")
    with pytest.raises(error, match=words):
        run(tmp_path / source, tmp_path / target)


def test_a_file_that_is_damaged_in_the_middle_is_said(tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", trip_table(5000), row_group_size=1000)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle - 2000 : middle + 2000] = b"\xff" * 4000
    source.write_bytes(bytes(content))
    with pytest.raises(CorruptFile):
        run(source, tmp_path / "out.parquet", rows=1000)
    assert names(tmp_path) == ["in.parquet"]


def test_an_older_output_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    source, target = write(tmp_path / "in.parquet", trip_table(250)), tmp_path / "out.parquet"
    target.write_text("older")
    with pytest.raises(ServiceUnavailable):
        run(source, target, Asked(fails_at=2))
    assert target.read_text() == "older"
    assert names(tmp_path) == ["in.parquet", "out.parquet"]
    run(source, target)
    assert pq.read_table(target).num_rows == 250


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    table = trip_table(20_000, other=pa.array([f"{i:050}" for i in range(20_000)]))
    source, target, peaks = tmp_path / "in.parquet", tmp_path / "out.parquet", []
    for times in (10, 60):
        with pq.ParquetWriter(source, table.schema) as writer:
            for _ in range(times):
                writer.write_table(table)
        with watched_memory() as pool:
            run(source, target, rows=10_000)
        peaks.append(pool.max_memory())
        assert pq.read_metadata(target).num_rows == times * 20_000
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < table.nbytes * 60 / 4


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
