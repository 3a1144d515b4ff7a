"""The figures of a demo: what summary.json, the closing table and the page all show. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from autoops.loop.records.checks import BROKEN, Check
from autoops.loop.records.ledger import Entry, Incident
from autoops.months import Month
from autoops.replay.demo.scenario_summary import ScenarioSummary
from autoops.replay.tally import Tally

SAMPLE = "sample"


@dataclass(frozen=True)
class Step:
    """The rows of one month that one version answered; `mae` is their mean loss.

    `verdict` is that of the checks whose windows end in the month: drift, if any found it, otherwise broken data, if
    any did. `decision` is the gate's, for the incident that the month opened.
    """

    month: str
    rows: int
    model_version: int
    mae: float
    alarm: bool
    verdict: str
    decision: str | None


@dataclass(frozen=True)
class Summary:
    """The figures of a demo.

    `steps` has one step per month: that of the version which answered most of it. `parts` has one per month and version
    of the core, and `scenario_parts` those of the months of the further scenarios. `alarm_to_served_s` runs, in wall
    time, from the first alarm of the first incident that led to a promotion to the first answer of the promoted
    version. `incident_months` are those whose rows opened an incident.
    """

    source: str
    parts: tuple[Step, ...]
    champion_version: int
    served_version: int
    requests: int
    failed_requests: int
    alarm_to_served_s: float | None
    wall_s: float
    incident_months: tuple[str, ...] = ()
    acts: ScenarioSummary | None = None
    scenario_parts: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return one step per month of the core, in order: that of the version with the most rows."""
        months = dict.fromkeys(part.month for part in self.parts)
        return tuple(max((p for p in self.parts if p.month == month), key=lambda p: p.rows) for month in months)

    @property
    def changed(self) -> Step:
        """Return the step between the steady one and the last on which the gate decided, else the first of them."""
        between = self.steps[1:-1] or self.steps[-1:]
        return next((step for step in between if step.decision), between[0])

    @property
    def healed_version(self) -> int:
        """Return the champion at the end of the core."""
        replaced = self.acts.bad_promotion.replaced_version if self.acts else None
        return self.champion_version if replaced is None else replaced

    def to_json(self) -> Mapping[str, object]:
        """Return the content of summary.json, which is a contract."""
        told = (
            {"acts": {**self.acts.to_json(), "steps": [asdict(part) for part in self.scenario_parts]}}
            if self.acts
            else {}
        )
        return {
            "source": self.source,
            "steps": [asdict(step) for step in self.steps],
            "champion_version": self.champion_version,
            "served_version": self.served_version,
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "alarm_to_served_s": self.alarm_to_served_s,
            "wall_s": self.wall_s,
            **told,
        }

    def complaints(self) -> list[str]:
        """Return why the demo failed; empty when it held. What real months bring is no failure, whatever it is."""
        found = []
        if self.failed_requests:
            found.append(f"{self.failed_requests} of {self.requests} requests failed")
        if self.served_version != self.champion_version:
            found.append(f"version {self.served_version} is served, version {self.champion_version} is champion")
        if self.source == SAMPLE:
            found += _story_complaints(self, self.incident_months)
        return found + (self.acts.complaints() if self.acts else [])


def _story_complaints(summary: Summary, incident_months: Sequence[str]) -> list[str]:
    """Return what the made-up months did not do as expected.

    In the steady month an alarm alone is no failure: it has no effect. An incident is a failure.
    """
    steady, changed, last, champion = summary.steps[0], summary.changed, summary.steps[-1], summary.healed_version
    expected = {
        f"the steady month {steady.month} was not judged: {steady.verdict}": steady.verdict in ("drift", "no drift"),
        f"an incident in the steady month {steady.month}": steady.month not in incident_months,
        f"no alarm in the changed month {changed.month}": changed.alarm,
        f"the gate's decision on {changed.month} was {changed.decision}": changed.decision == "promote",
        f"champion is still version {champion}": champion > steady.model_version,
        f"{last.month} was answered by version {last.model_version}": last.model_version == champion,
        f"the error did not recover: {last.mae:.2f} after {changed.mae:.2f}": last.mae < changed.mae,
    }
    return [complaint for complaint, held in expected.items() if not held]


def incident_months(incidents: Sequence[Incident], zone: ZoneInfo) -> tuple[str, ...]:
    """Return the months in which the evidence of drift incidents ends."""
    until = (incident.evidence_end for incident in incidents if incident.kind == "drift")
    return tuple(sorted({str(Month.of(moment, zone)) for moment in until if moment is not None}))


def parts_of(
    tally: Tally, checks: Sequence[Check], incidents: Sequence[Incident], entries: Sequence[Entry]
) -> tuple[Step, ...]:
    """Return one step per month and version, in order."""
    decisions = {entry.incident_id: entry.evidence["decision"] for entry in entries if entry.kind == "gate"}
    parts, zone = [], tally.contract.zone
    for segment in tally.by_month():
        month = Month.of(segment.event_at, zone)
        version = segment.model_version
        judged = [c for c in checks if c.model_version == version and _ends_in(c.event_until, month, zone)]
        opened = [i for i in incidents if i.model_version == version and _ends_in(i.evidence_end, month, zone)]
        alarm = any(check.alarm for check in judged)
        parts.append(
            Step(
                month=str(month),
                rows=segment.rows,
                model_version=segment.model_version,
                mae=round(segment.mae, 4),
                alarm=alarm,
                verdict="drift" if alarm else _verdict(judged),
                decision=next((decisions[i.id] for i in opened if i.id in decisions), None),
            )
        )
    return tuple(parts)


def _verdict(judged: Sequence[Check]) -> str:
    verdicts = [check.verdict for check in judged]
    if BROKEN in verdicts:
        return BROKEN
    return verdicts[-1] if verdicts else "not enough data"


def _ends_in(moment: datetime | None, month: Month, zone: ZoneInfo) -> bool:
    return moment is not None and Month.of(moment, zone) == month


def alarm_to_served_s(
    tally: Tally, checks: Sequence[Check], incidents: Sequence[Incident], entries: Sequence[Entry]
) -> float | None:
    """Return the wall seconds from first alarm to first answer; None when no incident led to a promotion."""
    for incident in incidents:
        promoted = next((e for e in entries if e.kind == "promoted" and e.incident_id == incident.id), None)
        first = tally.first_answers.get(promoted.model_version or 0) if promoted else None
        alarms = [check.checked_at for check in checks if _behind(check, incident)]
        if first is not None and alarms:
            return round((first.answered_at - min(alarms)).total_seconds(), 1)
    return None


def _behind(check: Check, incident: Incident) -> bool:
    """Return whether the check's alarm led to the incident, which spans the windows of the alarms that opened it."""
    if not (
        check.alarm and check.event_from and check.event_until and incident.evidence_start and incident.evidence_end
    ):
        return False
    inside = incident.evidence_start <= check.event_from and check.event_until <= incident.evidence_end
    return inside and check.model_version == incident.model_version
