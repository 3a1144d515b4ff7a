"""An incident report in plain words, for the person on call."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from autoops.loop.promote.tenures import Tenure
from autoops.loop.retrain import interim, scheduled
from autoops.usecase.contract import Contract

Lines = list[str]

TIME_UNITS = ("seconds", "minutes", "hours", "days")
"""Units of targets that are too long or short, where others are too high or low."""


def page(found: Mapping[str, Any], contract: Contract) -> str:
    """Return the report as text; `found` is what `explain.explain` gathered."""
    incident = found["incident"]
    title = f"Incident {incident.id}: {title_of(found, contract)}"
    sections = [
        ("", summary_of(found, contract)),
        ("What was noticed", _noticed(found, contract)),
        ("What moved", _moved(found, contract)),
        ("Where the error grew", _grew(found, contract)),
        ("What was done", _done(found)),
        ("The gate", _gate(found["gate"], contract)),
        ("What served", _served(found["tenures"])),
        ("Since then", [f"- {at(moment)}  {AFTER[kind]}: {reason}" for moment, kind, reason in found["afterwards"]]),
        ("Outcome", _outcome(found)),
        ("Links", [f"- {what}: {where}" for what, where in found["links"]]),
    ]
    lines = [title, "=" * len(title)]
    for heading, text in sections:
        if text:
            lines += ["", heading, "-" * len(heading), *text] if heading else ["", *text]
    return "\n".join(lines)


def _noticed(found: Mapping[str, Any], contract: Contract) -> Lines:
    incident, checks = found["incident"], found["alarms"]
    if incident.kind == "manual":
        return []
    if not checks:
        return [f"{incident.reason}."]
    alarms = [check for check in checks if check["alarm"]]
    lines = [
        f"{len(alarms)} of {len(checks)} window{'s' if len(checks) > 1 else ''} of {contract.plural} "
        f"between {day(incident.evidence_start, contract)} and {day(incident.evidence_end, contract)} alarmed:"
    ]
    for check in alarms:
        span = f"{check['event_from']:%Y-%m-%d %H:%M} to {check['event_until']:%Y-%m-%d %H:%M}"
        told = [f"  - {one['name']}: {one['reason']}{_beyond(one)}." for one in check["detectors"] if one["alarm"]]
        lines += [f"- check {check['check_id']}, {contract.plural} of {span}", *(told or [f"  - {check['reason']}."])]
    return lines


def _beyond(detector: Mapping[str, Any]) -> str:
    # Data drift is held against a setting, not against ordinary windows.
    if detector["name"] == "data drift" or detector["threshold"] <= 0:
        return ""
    return f" ({detector['distance'] / detector['threshold']:.1f} times as far as ordinary windows go)"


def _moved(found: Mapping[str, Any], contract: Contract) -> Lines:
    cause = found["cause"]
    if not cause:
        return []
    if not cause["features"]:
        same = f"the {contract.plural} are the same, and their {contract.target.told} is another"
        return [f"No input moved beyond what ordinary windows show: {same}."]
    lines = ["By their weight in the model:"]
    for one in cause["features"]:
        times = f"{one['distance'] / one['threshold']:.1f} times" if one["threshold"] > 0 else "beyond"
        lines.append(
            f"- {one['feature']} ({one['importance']:.0%} of the importance) is {one['distance']:.3f} from the "
            f"reference, {times} the {one['threshold']:.3f} that ordinary windows stay below"
        )
    return lines


def _grew(found: Mapping[str, Any], contract: Contract) -> Lines:
    cause = found["cause"]
    if not cause:
        return []
    error = cause["error"]
    if error is None:
        return ["Not known: no ground truth was in when the incident was opened."]
    low, high = ("short", "long") if contract.target.unit in TIME_UNITS else ("low", "high")
    direction = low if error["signed"] < 0 else high
    lines = [
        f"On the last {error['rows']} labelled {contract.plural} the mean absolute error was {error['absolute']:.2f}"
        f"{contract.unit}, {error['absolute_before']:.2f} on the version's own holdout. Predictions were "
        f"{abs(error['signed']):.2f}{contract.unit} too {direction} on average "
        f"({error['signed_before']:+.2f} on the holdout)."
    ]
    # Incidents that are older than contracts have zones.
    values = error["values"] if "values" in error else error["zones"]
    standing_out = [*(group for group in error["groups"] if group["stands_out"]), *values]
    if standing_out:
        worse = [group for group in standing_out if group["absolute"] > group["absolute_before"]]
        if worse:
            lines.append(f"It grew more than elsewhere {_and(_grown(group, contract) for group in worse)}.")
        if len(worse) < len(standing_out):
            better = [group for group in standing_out if group not in worse]
            lines.append(f"It fell less than elsewhere {_and(_grown(group, contract) for group in better)}.")
    elif error["absolute"] > error["absolute_before"]:
        lines.append(f"It grew about as much everywhere: no group of {contract.plural} stands out.")
    else:
        lines.append(f"It did not grow, and no group of {contract.plural} stands out.")
    groups = error["groups"]
    if groups:
        lines.append(f"By group,{contract.unit or ' error'} before and now:")
        width = max(len(group["name"]) for group in groups)
        lines += [
            f"  {group['name']:<{width}}  {group['absolute_before']:5.2f} → {group['absolute']:5.2f}"
            f"  on {group['rows']} {contract.plural}"
            for group in groups
        ]
    return lines


def _grown(group: Mapping[str, Any], contract: Contract) -> str:
    name = group["name"]
    named = any(name in (segment.values or ()) for segment in contract.segments.values())
    place = "in" if name.startswith("hours") or "=" in name else f"on {contract.plural} {'with' if named else 'of'}"
    return f"{place} {group['name']} ({group['absolute'] / group['absolute_before'] - 1:+.0%})"


def _and(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


WORDS = {
    "incident opened": "opened this incident",
    "incident waiting for data": "left it to wait",
    "incident waiting for approval": "stopped before the promotion",
    "incident open": "took it up again",
    "retraining asked for": "asked for a retraining",
    "retraining begun": "began to retrain",
    "re-evaluation begun": "took the challenger that waited to the gate again",
    "retraining failed": "failed",
    "trained": "trained a challenger",
    "gate": "asked the gate",
    "approved": "approved it",
    "promoted": "promoted version {version}",
    "served": "saw it served",
    "not served": "did not see it served everywhere",
    "incident closed": "closed the incident",
    "page": "called for a person",
    "quarantined": "quarantined a month",
    "policy: incident stands": "saw the next window alarm too",
    "policy: frozen": "did nothing",
}
AFTER = {
    "compared with previous": "compared with the version that it replaced",
    "post-promotion check over": "no longer compared with the version that it replaced",
    "rolled back": "rolled back",
}
LATER = ("inconclusive, waits", "inconclusive, given up", "superseded")
TOLD_ELSEWHERE = ("incident opened", "gate", "incident closed", "retraining asked for")
REPEATED = "policy: incident stands"


def _done(found: Mapping[str, Any]) -> Lines:
    lines, standing = [], 0
    for moment, actor, kind, version, reason in found["history"]:
        standing += kind == REPEATED
        # Each check repeats it while the incident waits; the first is enough.
        if kind == REPEATED and standing > 1:
            continue
        words = WORDS.get(kind, kind).format(version=version)
        if kind in ("retraining begun", "re-evaluation begun") and found["begun"]:
            by_force = ", to be promoted whatever the gate says" if found["begun"].get("force") else ""
            reason = f"on {', '.join(found['begun']['months'])}{by_force}"
        if kind == REPEATED:
            # The rest names the incident that stands, which is the report's own.
            reason = reason.partition("; incident ")[0]
        told = words if kind in TOLD_ELSEWHERE or kind == "promoted" else f"{words}: {reason}"
        lines.append(f"- {moment:%Y-%m-%d %H:%M:%S}  {actor} {told}")
    return lines


def _gate(verdict: Mapping[str, Any] | None, contract: Contract) -> Lines:
    if verdict is None:
        return []
    lines = [f"It said {verdict['decision']}: {verdict['reason']}."]
    unit = contract.unit if contract.loss == "absolute" else ""
    if verdict.get("difference") is not None:
        constant = {"absolute": "median", "squared": "mean"}.get(contract.loss, "base rate")
        old = "old model" if verdict.get("champion") else f"{constant} of the training {contract.plural}"
        lines.append(
            f"The {old} is off by {verdict['champion_mae']:.2f}{unit}, the new one by "
            f"{verdict['challenger_mae']:.2f}, on the same {contract.plural}."
        )
    judged = [one for one in verdict.get("segments", ()) if one["decision"] != "not judged"]
    if judged:
        bad = [one["name"] for one in judged if one["decision"] != "within margin"]
        lines.append(
            f"Of {len(judged)} segments, {_and(bad)} did not hold."
            if bad
            else f"It is not worse beyond the margin in any of {len(judged)} segments."
        )
    if verdict.get("settled_by"):
        lines.append(f"It would be settled by {verdict['settled_by']}.")
    return lines


def _served(tenures_of: Sequence[Tenure]) -> Lines:
    lines = []
    for tenure in tenures_of:
        until = f"until {tenure.until:%Y-%m-%d %H:%M:%S} UTC" if tenure.until else "to this day"
        seen = f", confirmed by every instance at {tenure.served_at:%H:%M:%S}" if tenure.served_at else ""
        back = ", put back" if tenure.restored else ""
        lines.append(f"- version {tenure.version} from {tenure.began_at:%Y-%m-%d %H:%M:%S} UTC {until}{back}{seen}")
    return lines


def _outcome(found: Mapping[str, Any]) -> Lines:
    incident, gate = found["incident"], found["gate"]
    if not incident.outcome:
        return [f"None yet: {answer['told']}." if (answer := found["promotion"]) else "None yet."]
    told = incident.outcome
    # The gate's reason has a section of its own, and is not said twice.
    if gate and gate["reason"] in told:
        forced = " promoted: forced " in told
        why = f"by force, where the gate said {gate['decision']}" if forced else "for what the gate said"
        told = f"{told.split(': ')[0]} {why}" if forced else f"{told.split(': ')[0]}, {why}"
    back = next((moment for moment, kind, _ in found["afterwards"] if kind == "rolled back"), None)
    answer = found["promotion"]
    later = answer["told"].rpartition("; ")[2] if answer and answer["state"] in LATER else None
    told += f"; {later}" if later else ""
    return [f"{told[0].upper()}{told[1:]}.", *([f"It was rolled back {at(back)}."] if back else [])]


def day(moment: datetime, contract: Contract) -> str:
    """Format the day of an event on the contract's calendar, by which the months are cut."""
    moment = moment.astimezone(contract.zone)
    return f"{moment.day} {moment:%B %Y}"


def at(moment: datetime) -> str:
    """Format a timestamp, which must be in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def title_of(found: Mapping[str, Any], contract: Contract) -> str:
    """Return the title of the report; `found` is what `explain.explain` gathered."""
    incident = found["incident"]
    about = f"version {incident.model_version}" if incident.model_version else "the champion"
    if incident.kind == "manual":
        return f"a retraining by hand ({incident.reason})"
    if incident.kind == interim.KIND:
        return f"a re-evaluation of version {found['re_evaluation']['challenger']}"
    if incident.kind == scheduled.KIND:
        return f"{about} and the newest months, on schedule"
    alarmed = _alarmed(found)
    if "loss" in alarmed:
        return f"{about} is wrong more than it used to be"
    return f"the {contract.plural} are not those that {about} learned from" if alarmed else f"{about} alarmed"


def _alarmed(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the reason by detector, for the alarms of the check that opened the incident."""
    verdict = found["verdict"] or {}
    return {one["name"]: one["reason"] for one in verdict.get("detectors", ()) if one["alarm"]}


def summary_of(found: Mapping[str, Any], contract: Contract) -> Lines:
    """Return lines on when and by whom the incident was opened, its status, and what has come of it."""
    incident = found["incident"]
    state = incident.status.replace("_", " ")
    told = f"Opened {at(incident.opened_at)} by {found['opened_by'] or 'nobody known'}; {state}"
    if incident.closed_at:
        told += f" {at(incident.closed_at)}"
    lines = [f"{told}."]
    if incident.kind == interim.KIND:
        lines.append(f"{_asked_before(found)}; {_ending(found, 'compared again')}.")
    elif incident.kind == scheduled.KIND:
        alarms = found["earlier_alarms"]
        held = f"{alarms} of its checks alarmed, and opened no incident" if alarms else "None of its checks alarmed"
        why = f"Version {incident.model_version} was compared on schedule: {incident.reason}. {held}"
        lines.append(f"{why}; {_ending(found, 'compared with a challenger of newer months')}.")
    elif incident.kind == "manual":
        lines.append(_asked_by_hand(found))
    else:
        why = f"Version {incident.model_version} stopped fitting its traffic{_since(incident, contract)}"
        lines.append(f"{why}; {_ending(found, 'retrained')}.")
    return lines


def _asked_before(found: Mapping[str, Any]) -> str:
    look, number = found["re_evaluation"], found["incident"].model_version
    return (
        f"In incident {look['closed_incident']} the gate could not tell version {look['challenger']} from version "
        f"{number}, and asked for {look['days_needed']} more days; {look['days_published']} were published by then"
    )


def _asked_by_hand(found: Mapping[str, Any]) -> str:
    begun = found["begun"]
    if begun is None:
        return "Somebody asked for a retraining, which has not begun."
    forced = ", and to have the result promoted whatever the gate says" if begun.get("force") else ""
    told = f"Somebody asked to retrain on {', '.join(begun['months'])}{forced}; {_ending(found, 'done')}"
    back = next((moment for moment, kind, _ in found["afterwards"] if kind == "rolled back"), None)
    return f"{told}; it was rolled back {at(back)}." if back else f"{told}."


def _ending(found: Mapping[str, Any], done: str) -> str:
    replaced = [tenure for tenure in found["tenures"] if tenure.version in found["versions"] and not tenure.restored]
    if replaced:
        return f"it was {done}, and version {replaced[-1].version} took over {at(replaced[-1].began_at)}"
    if found["versions"] and found["re_evaluation"]:
        return f"version {found['versions'][-1]} has not replaced it"
    if found["versions"]:
        return f"version {found['versions'][-1]} was trained for it and has not replaced it"
    return "nothing was compared" if found["re_evaluation"] else "nothing has been trained for it"


def _since(incident: Any, contract: Contract) -> str:
    return f" from about {day(incident.evidence_start, contract)} on" if incident.evidence_start else ""
