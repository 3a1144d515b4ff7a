"""Interim re-evaluation: the gate compares a challenger again once the days that its verdict asked for are available.

An interim re-evaluation is an incident of its own and goes through the steps of a retraining, but with the challenger
that waits instead of a new one. Both versions are compared on all available rows that neither was trained on.
"""

from typing import Final

from autoops.errors import Conflict, NotFound, NotPublished
from autoops.loop.context import Context
from autoops.loop.decide import reevaluation
from autoops.loop.decide.policy import Decision
from autoops.loop.promote.promotion import ROLLED_BACK
from autoops.loop.records.ledger import Entry, Incident
from autoops.loop.retrain.training_window import Months, months_since
from autoops.models.registry import ModelVersion, champion_of
from autoops.months import Month, parse_months

KIND: Final = "re-evaluation"


def waiting(context: Context) -> Entry | None:
    """Return the verdict that waits for more days: the gate's last verdict on the newest version that it has judged.

    None where that verdict is not inconclusive, is on a first version, or has an incident that is not closed.
    """
    gated = newest_gated(context)
    if gated is None or gated.evidence["decision"] != "inconclusive" or gated.evidence.get("champion") is None:
        return None
    if gated.incident_id is None or "months" not in gated.evidence:  # recorded before there were re-evaluations
        return None
    return gated if context.ledger.incident(gated.incident_id).status == "closed" else None


def newest_gated(context: Context) -> Entry | None:
    """Return the gate's last verdict on the newest version that it has judged; None without verdicts."""
    verdicts = context.ledger.entries(kind="gate")
    return max(verdicts, key=lambda entry: (entry.model_version or 0, entry.id), default=None)


def undecided(context: Context, verdict: Entry, usable: list[Month]) -> reevaluation.Undecided:
    """Return the challenger of an inconclusive verdict, with what happened to it since; `usable` are usable months."""
    number = verdict.model_version
    assert number is not None
    return reevaluation.Undecided(
        version=number,
        compared_with=verdict.evidence["champion"],
        looks=len(context.ledger.entries(kind="gate", model_version=number)),
        days_needed=verdict.evidence["days_needed"],
        days_published=sum(month.days for month in _since(verdict, usable)),
        rolled_back=ROLLED_BACK in context.registry.version(number).tags,
        promoted=bool(context.ledger.entries(kind="promoted", model_version=number)),
    )


def due(context: Context, champion: ModelVersion, verdict: Entry, usable: list[Month]) -> Decision:
    """Decide whether to open an interim re-evaluation now; write nothing."""
    try:
        one = undecided(context, verdict, usable)
    except NotFound:
        return Decision("nothing", f"version {verdict.model_version}, which waited for more days, was deleted")
    incidents = context.ledger.incidents()
    asked = next((incident for incident in incidents if incident.key == _key(one)), None)
    if asked is not None:
        return Decision("incident stands", f"incident {asked.id}, {asked.status.replace('_', ' ')}, asks for it")
    standing = next((incident.id for incident in incidents if incident.status != "closed"), None)
    return reevaluation.re_evaluation_due(one, champion.number, verdict.model_version or 0, standing)


def open_one(context: Context, verdict: Entry, decision: Decision, usable: list[Month], actor: str) -> int | None:
    """Open the incident and return its id; None where another check has opened it."""
    one = undecided(context, verdict, usable)
    try:
        return context.ledger.open_incident(
            KIND,
            decision.reason,
            actor=actor,
            model_version=one.compared_with,
            evidence={
                "closed_incident": verdict.incident_id,
                "challenger": one.version,
                "look": one.looks + 1,
                "days_needed": one.days_needed,
                "days_published": one.days_published,
                "months": [str(month) for month in _since(verdict, usable)],
            },
            key=_key(one),
        )
    except Conflict:
        return None


def _key(one: reevaluation.Undecided) -> str:
    """Return the key of an evaluation's incident: one that a person closes before the gate compares is not reopened."""
    return f"{KIND} {one.looks} of version {one.version}"


def about(context: Context, incident: Incident, usable: list[Month]) -> tuple[reevaluation.Undecided, int]:
    """Return the challenger that an incident of this kind is about, and the newest version that the gate has judged."""
    number, newest = challenger_of(context, incident), newest_gated(context)
    verdict = context.ledger.entries(kind="gate", model_version=number)[-1]
    assert newest is not None
    return undecided(context, verdict, usable), newest.model_version or number


def challenger_of(context: Context, incident: Incident) -> int:
    """Return the number of the version that the incident asks to compare again."""
    return int(opening(context, incident).evidence["challenger"])


def look_of(context: Context, incident: Incident) -> int:
    """Return the number of the evaluation; the first verdict on a challenger is number 1."""
    return int(opening(context, incident).evidence["look"])


def opening(context: Context, incident: Incident) -> Entry:
    """Return the entry with which the incident was opened; its evidence names the challenger."""
    return context.ledger.entries(incident_id=incident.id, kind="incident opened")[0]


def months_of(context: Context, incident: Incident, actor: str) -> Months:
    """Return all whole months with rows that neither version was trained on, except quarantined ones.

    Raises:
        Conflict: another comparison would settle nothing any more.
        NotPublished: these months have too few days.
        NoChampion: the alias was deleted meanwhile.
    """
    number, champion = challenger_of(context, incident), champion_of(context.registry)
    watermark = max(champion.trained_until, context.registry.version(number).trained_until)
    chosen = months_since(context, Month.of(watermark, context.contract.zone), actor)
    # Decided anew: these months are fetched by now, and some may have turned out to be quarantined.
    one, newest = about(context, incident, chosen.all)
    over = reevaluation.overtaken(one, champion.number, newest)
    if over is not None:
        raise Conflict(over)
    if one.days_needed is None or one.days_published < one.days_needed:
        raise NotPublished(f"the re-evaluation waits for {one.days_needed} days, {one.days_published} may be used")
    return chosen


def _since(verdict: Entry, usable: list[Month]) -> list[Month]:
    compared_until = parse_months(verdict.evidence["months"])[-1]
    return [month for month in usable if month > compared_until]
