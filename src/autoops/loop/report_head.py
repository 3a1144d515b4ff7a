"""What an incident is about, in a title and a sentence or two."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from autoops.loop import refreshes, second_looks
from autoops.months import NEW_YORK

Lines = list[str]


def day(moment: datetime) -> str:
    """Of an event, in New York, where the months are cut."""
    moment = moment.astimezone(NEW_YORK)
    return f"{moment.day} {moment:%B %Y}"


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def title_of(found: Mapping[str, Any]) -> str:
    """`found` is what `explain.explain` gathered."""
    incident = found["incident"]
    about = f"version {incident.model_version}" if incident.model_version else "the champion"
    if incident.kind == "manual":
        return f"a retraining by hand ({incident.reason})"
    if incident.kind == second_looks.KIND:
        return f"a second look at version {found['second_look']['challenger']}"
    if incident.kind == refreshes.KIND:
        return f"{about} has grown old"
    alarmed = _alarmed(found)
    if "loss" in alarmed:
        return f"{about} is wrong more than it used to be"
    return f"the trips are not those that {about} learned from" if alarmed else f"{about} alarmed"


def _alarmed(found: Mapping[str, Any]) -> dict[str, str]:
    """Reason by detector, of the last check's alarms."""
    verdict = found["verdict"] or {}
    return {one["name"]: one["reason"] for one in verdict.get("detectors", ()) if one["alarm"]}


def summary_of(found: Mapping[str, Any]) -> Lines:
    incident = found["incident"]
    state = incident.status.replace("_", " ")
    told = f"Opened {at(incident.opened_at)} by {found['opened_by'] or 'nobody known'}; {state}"
    if incident.closed_at:
        told += f" {at(incident.closed_at)}"
    lines = [f"{told}."]
    if incident.kind == second_looks.KIND:
        lines.append(f"{_asked_before(found)}; {_ending(found, 'compared again')}.")
    elif incident.kind == refreshes.KIND:
        why = f"Nothing was held against version {incident.model_version}, but {incident.reason}"
        lines.append(f"{why}; {_ending(found, 'compared with a challenger of newer months')}.")
    elif incident.kind == "manual":
        lines.append(_asked_by_hand(found))
    else:
        why = f"Version {incident.model_version} stopped fitting its traffic{_since(incident)}"
        lines.append(f"{why}; {_ending(found, 'retrained')}.")
    return lines


def _asked_before(found: Mapping[str, Any]) -> str:
    look, number = found["second_look"], found["incident"].model_version
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
    replaced = [reign for reign in found["reigns"] if reign.version in found["versions"] and not reign.restored]
    if replaced:
        return f"it was {done}, and version {replaced[-1].version} took over {at(replaced[-1].began_at)}"
    if found["versions"] and found["second_look"]:
        return f"version {found['versions'][-1]} has not replaced it"
    if found["versions"]:
        return f"version {found['versions'][-1]} was trained for it and has not replaced it"
    return "nothing was compared" if found["second_look"] else "nothing has been trained for it"


def _since(incident: Any) -> str:
    return f" from about {day(incident.holds_from)} on" if incident.holds_from else ""
