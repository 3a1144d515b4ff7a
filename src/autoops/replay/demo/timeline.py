"""The demo's output while it runs: one line per event with the time since the start, and a bar on a terminal."""

import time

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoops.loop.records.ledger import Entry

STYLES = {
    "check": "cyan",
    "incident opened": "bold red",
    "gate": "bold magenta",
    "promoted": "bold green",
    "served": "bold green",
    "incident closed": "green",
    "retraining failed": "bold red",
    "quarantined": "bold red",
    "rolled back": "bold red",
    "page": "bold red",
}
DEMO = "demo"


class Timeline:
    """Prints lines above the bar. Use as a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Timeline":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds of wall time since the timeline was created."""
        return time.monotonic() - self._began

    def say(self, what: str, text: str, style: str = "bold") -> None:
        """Print one line: `what` happened, in a few words, and the details in `text`."""
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        line = Text(f"{minutes:3d}:{seconds:02d}  ", style="dim")
        line.append(f"{what:<24} ", style=style)
        line.append(text, style="default")
        self.console.print(line, highlight=False, soft_wrap=True)

    def entry(self, entry: Entry) -> None:
        """Print a decision of the ledger."""
        alarm = entry.kind == "check" and entry.reason.startswith("drift")
        self.say(entry.kind, _shortened(entry.reason), "bold red" if alarm else STYLES.get(entry.kind, "yellow"))

    def progress(self, label: str, done: int, total: int) -> None:
        """Move the bar; do nothing where there is none."""
        if self._live.is_started:
            row = Table.grid(padding=(0, 1))
            row.add_row(Text(label, style="dim"), ProgressBar(total=max(total, 1), completed=done, width=30))
            self._live.update(row)

    def idle(self) -> None:
        """Clear the bar; do nothing where there is none."""
        if self._live.is_started:
            self._live.update(Text(""))


def _shortened(text: str, limit: int = 240) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
