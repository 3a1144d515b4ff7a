"""What people write into forms and behind verbs is read, or refused as their mistake."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autoops.cli import app
from autoops.errors import InputError, MonthError
from autoops.months import parse_months
from tests.conftest import CONFIG
from tests.fuzz.attempts import attempt

PATTERN = re.search(r'^MONTHS = r"(.+)"$', (CONFIG.parent / "airflow/dags/retrain_dag.py").read_text(), re.MULTILINE)
assert PATTERN


@hypothesis_settings(max_examples=100)
@given(
    st.from_regex(PATTERN[1], fullmatch=True)
    | st.from_regex(r"20(09|[1-9]\d)-(0[1-9]|1[0-2])", fullmatch=True)
    | st.text()
)
def test_whatever_passes_the_form_is_months_or_refused(text: str) -> None:
    months, refusal = attempt(lambda: parse_months(text), MonthError)
    if refusal is None:
        assert months == sorted(set(months))
        assert all(1980 <= month.year <= 2099 for month in months)


@pytest.mark.parametrize("number", ["0", "-1", str(2**31), "9" * 30])
@pytest.mark.parametrize("verb", [["close"], ["approve"], ["explain"], ["retrain", "--incident"]])
def test_no_incident_has_a_number_that_the_database_cannot_hold(verb: list[str], number: str) -> None:
    done = CliRunner().invoke(app, [*verb, number, *(["--reason", "x"] if verb != ["explain"] else [])])
    assert done.exit_code == 2


def test_a_url_that_is_none_is_said(tmp_path: Path) -> None:
    files = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out.parquet")]
    done = CliRunner().invoke(app, ["predict", *files, "--url", "http://[::1"])
    assert isinstance(done.exception, InputError)
