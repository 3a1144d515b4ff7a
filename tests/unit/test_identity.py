import os

import pytest

from autoops.cli.identity import actor, new_run_id

NO_SUCH_USER = 54_321


def test_a_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert actor() == "cli:ada"


def test_a_user_of_a_container_who_has_no_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: NO_SUCH_USER)
    assert actor() == f"cli:uid {NO_SUCH_USER}"


def test_runs_are_told_apart() -> None:
    assert new_run_id() != new_run_id()
