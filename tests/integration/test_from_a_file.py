"""From a parquet file that nobody has seen to a served, logged and watched model: the draft stays as it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from autoops.cli import app
from autoops.clock import SystemClock
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.loop.monitor import drift_check
from autoops.months import parse_months
from autoops.replay.player import PlayOptions, play
from autoops.settings import load_settings
from tests.eventually import eventually
from tests.integration.one_process import context_in, retrain
from tests.integration.serving.conftest import serving


def prices() -> pd.DataFrame:
    """Half-hourly prices of 1996 that go UP or DOWN, with the date and the half-hour as numbers and text as bytes."""
    draw, at = np.random.default_rng(4), pd.date_range("1996-05-20", "1996-09-30 23:30", freq="30min")
    demand, price = draw.normal(7_000, 800, len(at)), draw.gamma(2, 20, len(at))
    up = price + (demand - 7_000) / 50 + draw.normal(0, 15, len(at)) > 40
    return pd.DataFrame(
        {
            "date": at.strftime("%Y%m%d").astype(int),
            "period": at.hour * 2 + at.minute // 30,
            "NSW price ($)": price,
            "nsw.demand": np.where(draw.random(len(at)) < 0.02, np.nan, demand),
            "Day Type": draw.choice([b"work", b"free"], len(at)),
            "class": np.where(up, b"UP", b"DOWN"),
        }
    )


def test_a_half_hourly_file_is_drafted_trained_served_and_watched(
    tmp_path: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOOPS_CONFIG", raising=False)
    prices().to_parquet("prices.parquet")
    done = CliRunner().invoke(app, ["init", "prices", "--from", "prices.parquet"])
    assert done.exit_code == 0, done.output
    assert "autoops train --months 1996-06..1996-08" in done.output
    assert "--months 1996-09 " in done.output

    settings = load_settings()
    contract, source = settings.contract, open_source(settings.data, settings.contract)
    store = MonthStore(tmp_path / "months", cleaner_of(contract))
    context = replace(context_in(tmp_path, settings, engine), source=source, store=store)
    first = retrain(context, "first", months="1996-06..1996-08", reason="first model")
    assert first["promoted"], first

    with serving(settings, context.registry, context.log, context.instances, SystemClock()) as api:
        eventually(lambda: api.get("/ready").is_success)
        readme = Path("usecases/prices/README.md").read_text()
        request = json.loads(readme.partition("-d '")[2].partition("'\n")[0])
        assert set(request) == {"NSW_price", "nsw_demand", "Day_Type"}
        assert api.post("/predict", json=request).json()["class"] in ("UP", "DOWN")
        played = play(PlayOptions(source, parse_months("1996-09"), str(api.base_url), contract))
    assert not played.failed, played.failures
    found = drift_check.check(context)
    assert found["verdict"] == "no drift", found
    (check, *_) = context.checks.latest(limit=1)
    assert {result["feature"] for result in check.report["features"]} == {*contract.features}
    assert check.report["strays"] == 0
