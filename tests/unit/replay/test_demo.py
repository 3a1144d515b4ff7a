"""What a demo refuses, and how it ends; the demo itself plays in tests/e2e."""

import os
import signal
import time
from pathlib import Path

import pytest

from autoops.errors import Conflict, NotPublished
from autoops.months import Month, month_range
from autoops.replay.demo import demo, stage
from autoops.replay.demo.demo import DemoOptions
from autoops.settings import CONFIG_VARIABLE, Settings
from tests.conftest import CONFIG
from tests.unit.replay.worlds import write_month

MONTHS = list(month_range(Month(2023, 1), Month(2023, 4)))


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `demo.run` will play."""
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    return settings.storage.home / "demo"


def test_a_folder_that_is_not_a_demos_is_left_alone(home: Path):
    home.mkdir(parents=True)
    (home / "thesis.txt").write_text("dear")
    with pytest.raises(Conflict, match="was not made by a demo"):
        demo.run(DemoOptions())
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_a_second_demo_does_not_end_the_first(home: Path):
    stage.cleared(home)
    (home / "autoops.db").touch()
    with stage.reserved(home), pytest.raises(Conflict, match="another demo is playing"):
        demo.run(DemoOptions())
    assert (home / "autoops.db").exists()


def test_months_that_are_not_there_are_said_before_anything_starts(home: Path, tmp_path: Path):
    for month in MONTHS[:3]:
        write_month(tmp_path / "months", month)
    began = time.monotonic()
    with pytest.raises(NotPublished, match="2023-04"):
        demo.run(DemoOptions(source=str(tmp_path / "months"), months=MONTHS))
    assert time.monotonic() - began < 10
    assert not (home / "config.yaml").exists()


def test_a_made_up_world_needs_fewer_trees_and_real_months_get_the_models_own(settings: Settings, tmp_path: Path):
    made_up, real = (stage.cleared(tmp_path / name) for name in ("made-up", "real"))
    own = settings.model.parameters
    few = demo.overrides(settings, DemoOptions(), made_up)["model"]["parameters"]
    assert few == own | {"n_estimators": demo.SAMPLE_TREES}
    assert "model" not in demo.overrides(settings, DemoOptions(source="months", months=MONTHS), real)


def test_only_a_made_up_world_does_without_refreshes(settings: Settings, tmp_path: Path):
    made_up, real = (stage.cleared(tmp_path / name) for name in ("made-up", "real"))
    assert demo.overrides(settings, DemoOptions(), made_up)["training"] == {"retrain_after_months": 0}
    assert settings.training.retrain_after_months > 0
    assert "training" not in demo.overrides(settings, DemoOptions(source="months", months=MONTHS), real)


def test_another_estimator_keeps_its_parameters(settings: Settings, tmp_path: Path):
    linear = settings.model.model_copy(update={"parameters": {"alpha": 1.0}})
    changed = settings.model_copy(update={"model": linear})
    assert "model" not in demo.overrides(changed, DemoOptions(), stage.cleared(tmp_path / "demo"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_unwinds_and_says_which_signal_it_was(number: signal.Signals):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, demo.interruptible():
        os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is before
