"""From a file nobody has seen before to a draft, and from the draft as it is to a served row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoops.errors import AutoOpsError, NotPublished, SourceUnavailable
from autoops.ingestion.sources import open_source
from autoops.onboarding.draft import draft
from autoops.onboarding.dry_run import Line, check
from autoops.onboarding.tables import read
from autoops.onboarding.written import write
from autoops.settings import load_settings

HOURS = pd.date_range("2025-01-01", "2025-03-31 23:00", freq="h")


def bikes() -> pd.DataFrame:
    """Hourly demand that follows the hour, the temperature and the weather."""
    draw, rows = np.random.default_rng(3), len(HOURS)
    temp, weather = draw.normal(10, 8, rows), draw.choice(["clear", "mist", "rain"], rows)
    peak = 90 * np.exp(-(((HOURS.hour.to_numpy() - 17) / 3) ** 2))
    count = (60 + 3 * temp + peak - 40 * (weather == "rain") + draw.normal(0, 8, rows)).clip(0).astype(int)
    return pd.DataFrame({"hour": HOURS, "temp °C": temp, "weather": weather, "holiday": temp > 25, "count": count})


def prices() -> pd.DataFrame:
    """Half-hourly prices that go UP or DOWN."""
    draw, at = np.random.default_rng(4), pd.date_range("1996-05-07", periods=48 * 70, freq="30min")
    shares = {name: draw.uniform(0, 1, len(at)) for name in ("nswprice", "nswdemand", "vicprice", "vicdemand")}
    up = shares["nswprice"] + draw.normal(0, 0.2, len(at)) > 0.5
    return pd.DataFrame({"at": at, **shares, "class": np.where(up, "UP", "DOWN")})


def checked(folder: Path, name: str, **changes: str) -> list[Line]:
    """Draft the use case of a file, change the text of the draft, and return what the dry run says."""
    written = write(draft("tried", read(folder / name)), folder / "usecase")
    text = (written / "usecase.yaml").read_text()
    for before, after in changes.values() and [tuple(one.split(" -> ")) for one in changes.values()]:
        assert before in text
        text = text.replace(before, after)
    (written / "usecase.yaml").write_text(text)
    settings = load_settings(folder / "config.yaml", usecase=str(written))
    return list(check(settings, open_source(settings.data, settings.contract)))


def told(lines: list[Line], kind: str) -> str:
    return "\n".join(line.text for line in lines if line.kind == kind)


def test_a_regression_in_one_csv_file_is_served(tmp_path: Path) -> None:
    bikes().to_csv(tmp_path / "bikes.csv.gz", sep=";", index=False)
    before = sorted(tmp_path.rglob("*"))
    lines = checked(tmp_path, "bikes.csv.gz")
    assert told(lines, "refused") == ""
    assert "2025-02: 672 of 672 rows kept (100.0%); dropped: none" in told(lines, "ok")
    assert '"temp_C":' in lines[-1].text
    assert '"count":' in lines[-1].text
    assert "Set training.holdout_days: 21" in told(lines, "warning")
    assert sorted(tmp_path.rglob("*")) == sorted([*before, *(tmp_path / "usecase").rglob("*"), tmp_path / "usecase"])


def test_a_binary_use_case_in_one_parquet_file_is_served(tmp_path: Path) -> None:
    prices().to_parquet(tmp_path / "prices.parquet")
    lines = checked(tmp_path, "prices.parquet")
    assert told(lines, "refused") == ""
    assert "1996-06: 1,440 of 1,440 rows kept" in told(lines, "ok")
    assert '"probability":' in lines[-1].text
    assert '"class":"' in lines[-1].text


def test_rows_that_are_dropped_are_told_by_reason_and_refuse_the_month(tmp_path: Path) -> None:
    bikes().to_parquet(tmp_path / "bikes.parquet")
    bounds = "at_least: -1000, at_most: 1000 -> at_least: 12, at_most: 1000"
    with pytest.raises(AutoOpsError, match="none of the months 2025-03 and before can be trained on"):
        checked(tmp_path, "bikes.parquet", bounds=bounds)


def test_months_are_judged_by_the_declared_rules_and_a_drafted_table_passes_them(tmp_path: Path) -> None:
    table = bikes()
    closed = (table["hour"] >= "2025-02-10") & (table["hour"] < "2025-02-15")
    for folder in (tmp_path / "drafted", tmp_path / "changed"):
        folder.mkdir()
        table[~closed].to_parquet(folder / "bikes.parquet", index=False)
    assert "quarantined" not in told(checked(tmp_path / "drafted", "bikes.parquet"), "warning")
    lines = checked(tmp_path / "changed", "bikes.parquet", days="empty_days: 6 -> empty_days: 4")
    assert "2025-02 would be quarantined, and not trained on: 5 whole days have no rows" in told(lines, "warning")


def test_a_leak_and_a_model_of_no_use_are_told(tmp_path: Path) -> None:
    table = bikes()
    table["sold"] = table["count"] + np.random.default_rng(1).normal(0, 0.3, len(table))
    table.drop(columns=["temp °C"]).to_parquet(tmp_path / "bikes.parquet")
    why = "it nearly is the target count: will it be known when a model predicts?"
    leak = f"# left out: sold: {why} -> sold: {{type: float}}"
    lines = checked(tmp_path, "bikes.parquet", leak=leak)
    assert "suspiciously good: is sold" in told(lines, "warning")


def test_noise_does_not_beat_the_constant(tmp_path: Path) -> None:
    table = bikes()
    table["count"] = np.random.default_rng(9).permutation(table["count"])
    table.to_parquet(tmp_path / "bikes.parquet")
    assert "A first version must beat the constant" in told(checked(tmp_path, "bikes.parquet"), "refused")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    bikes().to_parquet(tmp_path / "bikes.parquet")
    with pytest.raises((NotPublished, SourceUnavailable), match=r"other\.parquet"):
        checked(tmp_path, "bikes.parquet", file='"bikes.parquet" -> "other.parquet"')
