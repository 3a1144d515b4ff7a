import io
import re

from rich.console import Console

from autoops.replay.demo.timeline import Timeline
from tests.unit.replay.records import entry


def told(terminal: bool = False) -> tuple[Timeline, io.StringIO]:
    output = io.StringIO()
    return Timeline(Console(file=output, width=100, force_terminal=terminal, color_system=None)), output


def test_each_line_says_when_what_and_why():
    timeline, output = told()
    with timeline:
        timeline.say("demo", "published 2023-01")
    assert re.fullmatch(r"\s+0:00  demo\s+published 2023-01\n", output.getvalue())


def test_ledger_entries_are_told_in_their_own_words_and_cut_when_endless():
    timeline, output = told()
    timeline.entry(entry(1, "gate", 0, 2))
    timeline.entry(entry(2, "x" * 1_000, 0))
    lines = output.getvalue().splitlines()
    assert lines[0].split(maxsplit=2)[1:] == ["gate", "<gate>"]
    assert lines[1].endswith("…")


def test_markup_in_a_reason_is_text():
    timeline, output = told()
    timeline.say("demo", "[red]not a colour[/red]")
    assert "[red]not a colour[/red]" in output.getvalue()


def test_without_a_terminal_there_is_no_bar():
    timeline, output = told()
    with timeline:
        timeline.progress("2023-04", 10, 100)
        timeline.idle()
    assert output.getvalue() == ""


def test_on_a_terminal_the_bar_says_how_far_the_month_is():
    timeline, output = told(terminal=True)
    with timeline:
        timeline.progress("2023-04, 10 of 100 trips", 10, 100)
    assert "2023-04, 10 of 100 trips" in output.getvalue()
