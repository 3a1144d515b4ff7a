"""What is kept is found again, until something changes that it depends on."""

from pathlib import Path

import pytest

from autoops.backtest.fingerprint import (
    PACKAGE,
    SIMULATION_CODE,
    TRAINING_CODE,
    code,
    simulation_settings,
    training_settings,
)
from autoops.backtest.processes import sharing_cores
from autoops.backtest.study import on_history
from autoops.settings import Settings


def changed(settings: Settings, section: str, **values: object) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def test_how_many_cores_fit_a_model_makes_no_other_model(settings: Settings) -> None:
    fewer = sharing_cores(settings, 64)
    assert fewer.model.parameters["n_jobs"] == 1
    assert training_settings(fewer) == training_settings(settings)


def test_an_estimator_without_n_jobs_gets_none(settings: Settings) -> None:
    plain = changed(settings, "model", parameters={})
    assert sharing_cores(plain, 2) == plain


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("training", {"holdout_days": 9}),
        ("drift", {"threshold": 0.4}),
        ("model", {"parameters": {"n_estimators": 3}}),
        ("gate", {"confidence": 0.9}),
        ("serving", {"max_model_mb": 9}),
        ("training", {"retrain_after_months": 0}),
        ("training", {"budget": 3.0}),
    ],
)
def test_another_setting_is_another_walk(section: str, values: dict, settings: Settings) -> None:
    assert simulation_settings(changed(settings, section, **values)) != simulation_settings(settings)


def test_another_declaration_is_another_training_and_another_walk(settings: Settings, tmp_path: Path) -> None:
    taxi = (PACKAGE / "usecases" / "taxi" / "usecase.yaml").read_text()
    (tmp_path / "usecase.yaml").write_text(taxi.replace("at_most: 60\n", "at_most: 90\n"))
    other = settings.model_copy(update={"usecase": str(tmp_path)})
    assert other.contract != settings.contract
    assert training_settings(other) != training_settings(settings)
    assert simulation_settings(other) != simulation_settings(settings)


def test_the_gate_and_where_things_are_stored_train_nothing(settings: Settings) -> None:
    assert training_settings(changed(settings, "gate", confidence=0.9)) == training_settings(settings)
    assert training_settings(changed(settings, "training", retrain_after_months=0)) == training_settings(settings)
    assert training_settings(changed(settings, "training", budget=3.0)) == training_settings(settings)
    assert simulation_settings(changed(settings, "storage", home=Path("/elsewhere"))) == simulation_settings(settings)


def test_the_code_that_counts_is_there_and_counts() -> None:
    assert all((PACKAGE / name).exists() for name in SIMULATION_CODE)
    assert code(TRAINING_CODE) == code(TRAINING_CODE)
    assert len({code(TRAINING_CODE), code(SIMULATION_CODE), code(TRAINING_CODE[:1])}) == 3


def test_on_history_nobody_is_there_to_wait_for_and_no_clock_decides(settings: Settings) -> None:
    simulated = on_history(changed(settings, "training", approval=True))
    assert not simulated.training.approval
    assert simulated.drift.source == "months"
    assert simulated.gate.max_latency_ms > 1e9
