"""The end of a demo on the terminal: the table, the figures and where to look further."""

from pathlib import Path

from autoops import console
from autoops.redaction import public_url
from autoops.replay.demo.outcome import REPORT, SUMMARY, Outcome
from autoops.replay.demo.summary import SAMPLE, Step, Summary
from autoops.services.credentials import told_password
from autoops.settings import CONFIG_VARIABLE, Settings, config_path
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import MEASURES, loss_unit


def show(outcome: Outcome, home: Path) -> None:
    """Print the table, the figures, the paths of the pages under `home`, and why the demo failed, if it did."""
    summary, contract = outcome.summary, outcome.tally.contract
    rows = [_row(part) for part in (*summary.parts, *summary.scenario_parts)]
    console.table("What the API answered, by month and version", columns(contract), rows)
    for line in [*figures(summary, contract), *outcome.failures, *_paths(home), *_verdict(summary)]:
        console.show(None, False, line)


def _row(part: Step) -> list[str]:
    alarm = "alarm" if part.alarm else "–"
    return [
        *(part.month, f"v{part.model_version}", str(part.rows), f"{part.mae:.3f}"),
        *(alarm, part.verdict, part.decision or "–"),
    ]


def columns(contract: Contract) -> list[str]:
    """Return the names of the table's columns in the words of the use case."""
    unit = loss_unit(contract).strip()
    measure = MEASURES[contract.loss]
    return ["month", "version", contract.plural, f"{measure}, {unit}" if unit else measure, "alarm", "verdict", "gate"]


def figures(summary: Summary, contract: Contract) -> list[str]:
    """Return the demo's figures in words; the error's course only for made-up months, whose parts are known."""
    lines, unit = [], loss_unit(contract)
    if summary.source == SAMPLE:
        steady, changed, last = summary.steps[0], summary.changed, summary.steps[-1]
        lines = [
            f"error, steady: {steady.mae:.2f}{unit} (version {steady.model_version})",
            f"error, under drift: {changed.mae:.2f}{unit} (version {changed.model_version})",
            f"error, after: {last.mae:.2f}{unit} (version {last.model_version})",
        ]
    served = summary.alarm_to_served_s
    return [
        *lines,
        "alarm to served: " + ("no promotion" if served is None else f"{served:.0f} s"),
        *(summary.acts.sentences() if summary.acts else []),
        f"requests: {summary.requests} sent, {summary.failed_requests} failed",
        f"version {summary.champion_version} is champion, version {summary.served_version} is served",
        f"time: {summary.wall_s:.0f} s",
    ]


def _paths(home: Path) -> list[str]:
    pages = sorted((home / "reports").rglob("*.html"))
    return [f"page: {home / REPORT}", f"figures: {home / SUMMARY}", *(f"drift report: {page}" for page in pages)]


def _verdict(summary: Summary) -> list[str]:
    complaints = summary.complaints()
    if not complaints:
        return ["The story held." if summary.source == SAMPLE else "Ran through."]
    return [f"FAILED: {complaint}" for complaint in complaints]


def show_addresses(settings: Settings) -> None:
    """Print the addresses of the services that were left up, and how to stop them."""
    for line in (
        f"Console: {settings.console_url}",
        f"API:     {settings.api_url}/docs",
        f"MLflow:  {public_url(settings.mlflow.tracking_uri)}",
        f"Airflow: {settings.airflow_url}  user {settings.airflow.username}, password {told_password(settings)}",
        f"stop:    {CONFIG_VARIABLE}={config_path()} autoops down",
    ):
        console.show(None, False, line)
