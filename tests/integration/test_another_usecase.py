"""A use case that Auto-Ops does not bring, from its declaration to a served, logged and watched model."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sklearn.metrics import log_loss

from autoops import bootstrap
from autoops.clock import SystemClock
from autoops.drift.monitor import Reference, judge
from autoops.drift.thresholds import Thresholds
from autoops.errors import SettingsError
from autoops.ingestion.source import DirectorySource
from autoops.models import bundle
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.models.scoring import Scorer
from autoops.months import Month
from autoops.replay.player import PlayOptions, play
from autoops.serving.payloads import arrow
from autoops.settings import Drift, Settings, Training, load_settings
from autoops.storage import database
from autoops.storage.instances import Instances
from autoops.storage.predictions import LogSelection, PredictionLog
from autoops.training.export import write_bundle
from autoops.training.train import Trained, train
from autoops.usecase import declaration
from autoops.usecase.columns import EVENT_AT, TARGET
from autoops.usecase.contract import Contract
from tests.conftest import stored_at
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import serving
from tests.taxi import calibrate

DECLARED = Path(__file__).parent.parent / "usecases" / "car_loan"
DRIFT = Drift(window_size=300)
SALARIES = ["0 - 20K €", "20K - 40K €", "40K - 60K €", "60K+ €"]
LOAN = {
    "car_value": 18_000.0,
    "salary_range": "20K - 40K €",
    "region": "north",
    "debt_to_income_ratio": 0.4,
    "loan_length": 36,
    "repaid_loan_on_prev_car": True,
    "driver_tenure": 7.5,
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return declaration.load(str(DECLARED))


def loans(rows: int, seed: int, begins_at: str = "2026-01-01", worse: float = 0.0) -> pd.DataFrame:
    """Loans whose repayment follows salary, debt and region, and is `worse` for all in log odds."""
    draw = np.random.default_rng(seed)
    days = np.sort(draw.uniform(0, rows / 50, rows))
    salary, debt = draw.integers(0, 4, rows), draw.gamma(2, 0.3, rows).clip(0, 5)
    region = draw.choice(np.array(["north", "south", "east", None], dtype=object), rows, p=[0.4, 0.3, 0.2, 0.1])
    tenure = np.where(draw.random(rows) < 0.2, np.nan, draw.uniform(0, 40, rows))
    odds = 0.2 + 0.8 * salary - 2 * debt + (region == "south") + 0.5 * np.isnan(tenure) - worse
    return pd.DataFrame(
        {
            EVENT_AT: (pd.Timestamp(begins_at, tz="UTC") + pd.to_timedelta(days, unit="D")).as_unit("us"),
            "car_value": draw.lognormal(9.8, 0.4, rows).clip(1, 499_999),
            "salary_range": np.array(SALARIES, dtype=object)[salary],
            "region": region,
            "debt_to_income_ratio": debt,
            "loan_length": draw.integers(6, 60, rows),
            "repaid_loan_on_prev_car": draw.random(rows) < 0.6,
            "driver_tenure": tenure,
            TARGET: (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(float),
        }
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("car_loan")
    path = folder / "config.yaml"
    path.write_text(f"usecase: {DECLARED}\nserving: {{poll_interval_s: 0.05}}\n")
    return load_settings(path)


@pytest.fixture(scope="module")
def trained(contract: Contract, settings: Settings) -> Trained:
    return train(loans(6_000, 1), contract, settings.model, Training(min_rows=500))


@pytest.fixture(scope="module")
def sealed(trained: Trained, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("bundle")
    frames = trained.history, trained.holdout, trained.reference
    thresholds = calibrate(*frames, trained.encoder.features, DRIFT, contract)
    return directory, write_bundle(trained, thresholds.to_json(), directory)


@pytest.fixture
def api(settings: Settings, sealed: tuple[Path, str], engine: sa.Engine, tmp_path: Path) -> Iterator[httpx.Client]:
    registry, (directory, digest) = FakeRegistry(tmp_path / "registry"), sealed
    tags = {"bundle_digest": digest, "trained_until": "2026-04-01T00:00:00+00:00"}
    registry.register(TrainingRun(None, None, None, {}, {}, tags, {}, (), directory))  # type: ignore[arg-type]
    registry.set_alias(CHAMPION, 1)
    with serving(settings, registry, PredictionLog(engine), Instances(engine), SystemClock()) as client:
        while not client.get("/ready").is_success:
            pass
        yield client


def test_the_settings_are_those_of_the_use_case(settings: Settings) -> None:
    assert settings.model.name == settings.mlflow.experiment == "car_loan"
    assert settings.model.features == (*LOAN,)
    assert settings.gate.segments == ("salary", "long")
    assert len((DECLARED / "usecase.yaml").read_text().splitlines()) <= 40


def test_a_database_of_another_use_case_is_refused_at_start(settings: Settings, tmp_path: Path) -> None:
    stored = stored_at(settings, f"sqlite:///{tmp_path}/autoops.db")
    database.upgrade(database.connect(stored), declaration.load(declaration.DEFAULT).name)
    for start in (
        lambda: bootstrap.context(stored, migrate=True),
        lambda: bootstrap.api_on(stored, FakeRegistry(tmp_path)),
    ):
        with pytest.raises(SettingsError, match=r"that of the use case nyc_taxi_trip_duration, .* is car_loan: set"):
            start()


def test_a_model_of_it_beats_the_base_rate_and_is_exported_with_its_contract(
    trained: Trained, sealed: tuple[Path, str], contract: Contract
) -> None:
    assert trained.metrics["loss"] < 0.9 * trained.metrics["baseline_loss"]
    assert trained.metrics["auc"] > 0.7
    directory, digest = sealed
    manifest = bundle.verify(directory, digest)
    assert manifest.contract == contract
    assert manifest.vocabularies["region"] == ("east", "north", "south")
    assert sum(manifest.importances.values()) == pytest.approx(1)
    assert {"money", "debt_to_income_ratio"} <= manifest.importances.keys()
    Scorer(directory, manifest).verify_golden_rows()


def test_it_is_served_in_every_form_and_logged_raw(api: httpx.Client, engine: sa.Engine) -> None:
    one = api.post("/predict", json=LOAN | {"request_id": "a"}).raise_for_status().json()
    assert 0 < one["probability"] < 1
    assert one["repaid"] == int(one["probability"] >= 0.5)
    assert (one["known_categories"], one["repeated"]) == (True, False)
    odd = LOAN | {"region": "moon"}
    rows = api.post("/predict/batch", json={"loans": [LOAN, odd, LOAN | {"region": None, "driver_tenure": None}]})
    found = rows.raise_for_status().json()["predictions"]
    assert [row["known_categories"] for row in found] == [True, False, True]
    assert found[0]["probability"] == one["probability"]
    columns = {name: [value, value] for name, value in odd.items()}
    as_columns = api.post("/predict/batch", json={"columns": columns}).raise_for_status().json()["columns"]
    assert as_columns["probability"] == [found[1]["probability"]] * 2
    table = pa.table({name: pa.array([value]) for name, value in odd.items()})
    sent = api.post("/predict/batch", content=arrow.write(table), headers={"content-type": arrow.MEDIA_TYPE})
    answered = pa.ipc.open_stream(sent.raise_for_status().content).read_all()
    assert answered["probability"].to_pylist() == [found[1]["probability"]]
    assert answered["repaid"].to_pylist() == [found[1]["repaid"]]

    logged = PredictionLog(engine).latest(LogSelection(1), 10)
    assert logged[0].inputs == tuple(LOAN.values())
    assert logged[2].inputs == tuple(odd.values())
    assert logged[3].inputs[2] is None
    again = api.post("/predict", json=LOAN | {"request_id": "a"}).json()
    assert (again["prediction_id"], again["repeated"]) == (one["prediction_id"], True)
    other = api.post("/predict", json=odd | {"request_id": "a"})
    assert other.status_code == 422
    assert "was used for another loan" in other.text


def test_tensors_of_the_open_inference_protocol_are_its_columns(api: httpx.Client, engine: sa.Engine) -> None:
    kinds = {"str": "BYTES", "float": "FP64", "int": "INT64", "bool": "BOOL"}
    odd = LOAN | {"region": "moon", "driver_tenure": float("nan"), "loan_length": 36}
    inputs: list[dict[str, Any]] = [
        {"name": name, "datatype": kinds[type(value).__name__], "shape": [3, 1], "data": [value, odd[name], value]}
        for name, value in LOAN.items()
    ]
    described = {one["name"]: one["datatype"] for one in api.get("/v2/models/car_loan").json()["inputs"]}
    assert {one["name"]: one["datatype"] for one in inputs}.items() <= described.items()
    # As numpy and pandas have whole numbers where another row has none.
    inputs[4] |= {"datatype": "FP32", "data": [36.0] * 3}
    inputs[2]["data"][2] = None
    # NaN is no JSON, and clients send it all the same.
    path, json_type = "/v2/models/car_loan/infer", {"content-type": "application/json"}
    sent = api.post(path, content=json.dumps({"inputs": inputs}), headers=json_type)
    answer = sent.raise_for_status().json()
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    assert [output["datatype"] for output in answer["outputs"]][:2] == ["FP64", "INT64"]
    assert found["known_categories"] == [True, False, True]
    assert found["repaid"] == [int(one >= 0.5) for one in found["probability"]]
    assert found["probability"][0] == api.post("/predict", json=LOAN).json()["probability"]
    first, other, third, _ = PredictionLog(engine).latest(LogSelection(1), 4)
    assert (first.inputs, first.id) == (tuple(LOAN.values()), found["prediction_id"][0])
    assert other.inputs == tuple((odd | {"driver_tenure": None}).values())
    assert third.inputs[2] is None
    inputs[1]["data"] = ["20K - 40K €", "plenty", "20K - 40K €"]
    refused = api.post(path, content=json.dumps({"inputs": inputs}), headers=json_type)
    assert [problem["field"] for problem in refused.json()["errors"]] == ["inputs.salary_range.1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"salary_range": "plenty"}, "salary_range"),
        ({"repaid_loan_on_prev_car": 1}, "repaid_loan_on_prev_car"),
        ({"loan_length": 0}, "loan_length"),
        ({"car_value": None}, "car_value"),
        ({"region": "a\u0000b"}, "region"),
        ({"trip_distance": 3}, "trip_distance"),
    ],
)
def test_what_is_outside_the_contract_is_refused_by_its_field(api: httpx.Client, change: dict, field: str) -> None:
    for body in (LOAN | change, {"loans": [LOAN | change]}):
        path = "/predict/batch" if "loans" in body else "/predict"
        answer = api.post(path, json=body)
        assert answer.status_code == 422
        assert [problem["field"].rpartition(".")[2] for problem in answer.json()["errors"]] == [field]


def test_labels_are_those_of_the_target(api: httpx.Client, engine: sa.Engine) -> None:
    one = api.post("/predict", json=LOAN).json()["prediction_id"]
    labels = [
        {"prediction_id": one, "repaid": 0},
        {"prediction_id": one, "repaid": 2},
        {"prediction_id": one, "repaid": True},
        {"prediction_id": one, "trip_duration_minutes": 3},
    ]
    receipt = api.post("/ground-truth", json={"labels": labels}).raise_for_status().json()
    assert (receipt["stored"], receipt["attached"]) == (1, 1)
    assert [refused["position"] for refused in receipt["refused"]] == [1, 2, 3]
    (labelled,) = PredictionLog(engine).latest_labelled(LogSelection(1), 10)
    assert labelled.target == 0.0


def test_months_of_it_are_replayed_with_labels_in_its_own_words(
    api: httpx.Client, contract: Contract, engine: sa.Engine, tmp_path: Path
) -> None:
    month = Month(2026, 6)
    rows = loans(300, 4, f"{month}-01").rename(columns={EVENT_AT: "timestamp", TARGET: "repaid"})
    # As files of other tools are: a nullable whole number is a float, and a boolean is a number.
    rows = rows.assign(id=range(300), loan_length=rows["loan_length"].astype(float), repaid=rows["repaid"].astype(int))
    rows.to_parquet(tmp_path / contract.source.file_name(str(month)))
    source = DirectorySource(tmp_path, contract.source.files)
    played = play(PlayOptions(source, [month], str(api.base_url), contract, label_lag=timedelta(0)))
    assert played.failures == {}
    logged = PredictionLog(engine).latest_labelled(LogSelection(1), 1_000)
    labelled = [row for row in logged if str(row.logged.request_id).startswith(f"{month}/")]
    assert len(labelled) == played.labels_sent == 300
    truth = np.array([row.target for row in labelled])
    assert truth.mean() == pytest.approx(rows["repaid"].mean())
    predicted = np.array([row.logged.prediction for row in labelled])
    (segment,) = played.tally.by_month()
    assert segment.mae == pytest.approx(log_loss(truth, predicted), rel=1e-6)
    assert {type(row.logged.inputs[5]) for row in labelled} == {bool}


def test_its_documents_speak_its_language(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    loan = document["components"]["schemas"]["Loan"]
    assert {*loan["properties"]} == {"timestamp", *LOAN, "request_id"}
    assert loan["properties"]["salary_range"]["enum"] == SALARIES
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["loan"]
    assert api.post("/predict", json=example["value"]).is_success
    assert "trip" not in str(document).lower()


def test_a_version_is_judged_by_its_contract(sealed: tuple[Path, str], contract: Contract) -> None:
    directory, digest = sealed
    manifest = bundle.verify(directory, digest)
    reference, scorer = Reference.read(directory, manifest), Scorer(directory, manifest)
    thresholds = Thresholds.from_json((directory / bundle.THRESHOLDS).read_text())

    def verdict(rows: pd.DataFrame) -> object:
        answered = rows.assign(prediction=scorer.predict_rows(_columns(rows)))
        return judge(reference, thresholds, manifest, answered, answered, DRIFT)

    steady = verdict(loans(300, 5, "2026-06-01"))
    assert not steady.alarm
    assert {result.feature for result in steady.features} == {*LOAN}
    moved = loans(300, 6, "2026-06-01").assign(debt_to_income_ratio=2.5, salary_range=SALARIES[0], car_value=100.0)
    assert "data drift" in verdict(moved).findings


def _columns(rows: pd.DataFrame) -> dict:
    from autoops.usecase.columns import columns_of

    return dict(columns_of(rows))
