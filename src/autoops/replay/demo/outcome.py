"""The outcome of a demo: its figures, and the records that they were made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoops.loop.records.checks import Check
from autoops.loop.records.ledger import Entry, Incident
from autoops.replay.demo.observer import Observer
from autoops.replay.demo.scenario_summary import scenario_summary
from autoops.replay.demo.scenarios import Scenario
from autoops.replay.demo.summary import Summary, alarm_to_served_s, incident_months, parts_of
from autoops.replay.player import Played
from autoops.replay.tally import Tally
from autoops.usecases.made_up import MadeUp

SUMMARY, REPORT = "summary.json", "report.html"


@dataclass(frozen=True)
class Outcome:
    """The figures of a demo with the records behind them; `failures` has a line per cause of failed requests.

    `made_up` says what the months of a made-up world bring.
    """

    summary: Summary
    tally: Tally
    checks: Sequence[Check]
    incidents: Sequence[Incident]
    entries: Sequence[Entry]
    failures: Sequence[str]
    made_up: MadeUp | None = None


def sum_up(
    source: str,
    played: Played,
    observer: Observer,
    champion: int,
    served: int | None,
    wall_s: float,
    acts: Sequence[Scenario] = (),
    made_up: MadeUp | None = None,
) -> Outcome:
    """Return the outcome of a demo of `wall_s` seconds; `served` is None where the API serves no version."""
    checks, incidents, entries = observer.checks(), observer.incidents(), observer.entries()
    parts, further = (
        parts_of(played.tally, checks, incidents, entries),
        {str(scenario.month) for scenario in acts},
    )
    summary = Summary(
        source=source,
        parts=tuple(part for part in parts if part.month not in further),
        champion_version=champion,
        served_version=served or 0,
        requests=played.requests,
        failed_requests=played.failed,
        alarm_to_served_s=alarm_to_served_s(played.tally, checks, incidents, entries),
        wall_s=round(wall_s, 1),
        incident_months=incident_months(incidents, played.tally.contract.zone),
        acts=scenario_summary(acts, played.tally, checks, incidents, entries),
        scenario_parts=tuple(part for part in parts if part.month in further),
    )
    failures = [f"{count} × {what}" for what, count in played.failures.items()]
    return Outcome(summary, played.tally, checks, incidents, entries, failures, made_up)
