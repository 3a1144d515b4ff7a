import pytest

from autoops import console


@pytest.mark.parametrize("reason", ["model [prod] moved", "see [/tmp/x]", "[bold]not bold[/bold]"])
def test_a_table_shows_cells_as_they_are(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.table("Incidents", ["incident", "reason"], [["1", reason]])
    assert reason in capsys.readouterr().out
