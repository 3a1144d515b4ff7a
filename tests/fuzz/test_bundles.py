"""What a registry hands over, or a disk kept of it, is a version that verifies, or it raises BundleError."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer
from autoops.serving.model.last_served import FILE, LastServed
from tests.bundles import FEATURES, small_training_run
from tests.fuzz.attempts import attempt
from tests.fuzz.strategies import anything, mutations, odd_tables, replaced

fuzzed = hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training_run(tmp_path_factory.mktemp("bundle")).bundle


@pytest.fixture
def broken(tmp_path: Path, whole: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def load(directory: Path) -> Scorer:
    manifest = bundle.verify(directory, bundle.sha256_of(directory / bundle.MANIFEST))
    scorer = Scorer(directory, manifest)
    scorer.verify_golden_rows()
    return scorer


def load_or_refuse(directory: Path) -> str:
    scorer, refusal = attempt(lambda: load(directory), BundleError)
    if scorer is None:
        return str(refusal)
    assert isinstance(scorer.manifest, bundle.Manifest)
    assert all(zone == int(zone) for zones in scorer.encoder.vocabularies.values() for zone in zones)
    return ""


@fuzzed
@given(st.data())
def test_a_mutated_manifest(broken: Path, whole: Path, data: st.DataObject) -> None:
    content = (whole / bundle.MANIFEST).read_bytes()
    (broken / bundle.MANIFEST).write_bytes(data.draw(mutations(content)))
    load_or_refuse(broken)


@fuzzed
@given(st.data())
def test_a_manifest_of_anything(broken: Path, whole: Path, data: st.DataObject) -> None:
    content = json.loads((whole / bundle.MANIFEST).read_text())
    (broken / bundle.MANIFEST).write_text(json.dumps(data.draw(replaced(content) | anything)))
    load_or_refuse(broken)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": ["model.onnx"]}, "files"),
        ({"files": {}}, "names no digest of golden.parquet, model.onnx"),
        ({"schema_version": 1, "zones": [[1]]}, "zones.0"),
        ({"schema_version": 1, "zones": [1], "features": ["weather", *FEATURES[1:]]}, "does not know: weather"),
        ({"vocabularies": {"pickup_location_id": [[1]]}}, "vocabularies.pickup_location_id.0"),
        ({"vocabularies": {"pickup_location_id": [1, "b"]}}, "vocabularies.pickup_location_id: 'b' is no value"),
        ({"vocabularies": {"weather": [1]}}, "vocabularies.weather: its contract has no such category"),
        ({"contract": {}}, "contract.name"),
        ({"trained_until": "2023-01-25T04:59:52"}, "trained_until"),
        ({"trained_until": "0001-01-01T00:00:00+14:00"}, "OverflowError"),
        ({"features": ["weather", *FEATURES[1:]]}, "features that this Auto-Ops does not know: weather"),
    ],
)
def test_what_was_found_in_manifests(broken: Path, changes: dict[str, Any], said: str) -> None:
    path = broken / bundle.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert said in load_or_refuse(broken)


@pytest.mark.parametrize("text", ["[" * 100_000, "\x00", "NaN"])
def test_a_manifest_that_is_none(broken: Path, text: str) -> None:
    (broken / bundle.MANIFEST).write_text(text)
    assert "does not read" in load_or_refuse(broken)


@fuzzed
@given(st.data())
def test_golden_rows_of_anything(broken: Path, whole: Path, data: st.DataObject) -> None:
    golden = whole / bundle.GOLDEN
    scorer = Scorer(broken, bundle.verify(whole, bundle.sha256_of(whole / bundle.MANIFEST)))
    if data.draw(st.booleans()):
        pq.write_table(data.draw(odd_tables(pq.read_table(golden).slice(0, 3))), broken / bundle.GOLDEN)
    else:
        (broken / bundle.GOLDEN).write_bytes(data.draw(mutations(golden.read_bytes())))
    _, refusal = attempt(scorer.verify_golden_rows, BundleError)
    assert refusal is None or "golden" in str(refusal)


def test_a_model_that_answers_two_numbers_for_a_row_is_broken(broken: Path, whole: Path) -> None:
    rows = pq.read_table(whole / bundle.GOLDEN).to_pandas()
    inputs, expected = rows[list(FEATURES)].to_numpy(), rows[bundle.EXPECTED].to_numpy()
    forest = RandomForestRegressor(n_estimators=2).fit(inputs, np.column_stack([expected, expected]))
    onnx = convert_sklearn(forest, initial_types=[("input", FloatTensorType([None, len(FEATURES)]))])
    (broken / bundle.MODEL).write_bytes(onnx.SerializeToString())
    scorer = Scorer(broken, bundle.verify(whole, bundle.sha256_of(whole / bundle.MANIFEST)))
    with pytest.raises(BundleError, match="100 numbers for 50 golden rows"):
        scorer.verify_golden_rows()


NOTE = {"model": "trips", "number": 3, "run_id": "r", "tags": {"bundle_digest": "0" * 64}}


@fuzzed
@given(mutations(json.dumps(NOTE).encode()) | (replaced(NOTE) | anything).map(lambda note: json.dumps(note).encode()))
def test_a_note_of_what_was_served_last(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    recalled = LastServed(tmp_path, "trips").recall()
    assert recalled is None or (isinstance(recalled, ModelVersion) and isinstance(recalled.number, int))
    assert recalled is None or all(isinstance(value, str) for value in recalled.tags.values())


@pytest.mark.parametrize("number", [math.inf, "3", 3.5, True])
def test_a_note_without_a_number_is_none(tmp_path: Path, number: object) -> None:
    (tmp_path / FILE).write_text(json.dumps(NOTE | {"number": number}))
    assert LastServed(tmp_path, "trips").recall() is None
