"""Which version was champion when, and why: read from the ledger alone, which keeps every move of the alias."""

from dataclasses import dataclass, replace
from datetime import datetime

from autoops.loop.context import Context
from autoops.loop.records.ledger import Entry


@dataclass(frozen=True)
class Reign:
    """`began_at` is the move of the alias, `served_at` when every instance had confirmed the version, where somebody
    asked. `until` is None for the version in charge."""

    version: int
    began_at: datetime
    because: str
    actor: str
    incident_id: int | None
    restored: bool
    until: datetime | None = None
    served_at: datetime | None = None


def reigns(context: Context) -> list[Reign]:
    """Oldest first."""
    moves = sorted(
        (entry for kind in ("promoted", "rolled back", "served") for entry in context.ledger.entries(kind=kind)),
        key=lambda entry: entry.id,
    )
    found: list[Reign] = []
    for entry in moves:
        if entry.kind != "served":
            if found:
                found[-1] = replace(found[-1], until=entry.at)
            found.append(_begun(entry))
        elif found and found[-1].version == entry.model_version and found[-1].served_at is None:
            found[-1] = replace(found[-1], served_at=entry.at)
    return found


def _begun(entry: Entry) -> Reign:
    restored = entry.kind == "rolled back"
    version = entry.evidence["restored"] if restored else entry.model_version
    return Reign(int(version or 0), entry.at, entry.reason, entry.actor, entry.incident_id, restored)


def reign_at(context: Context, moment: datetime) -> Reign | None:
    return next((one for one in reversed(reigns(context)) if one.began_at <= moment), None)


def sentences(moment: datetime, reign: Reign | None) -> list[str]:
    """What served then, and why, for people."""
    asked = f"{moment:%Y-%m-%d %H:%M} UTC"
    if reign is None:
        return [f"At {asked} no version had been promoted yet."]
    until = f"until {reign.until:%Y-%m-%d %H:%M:%S} UTC" if reign.until else "and still is"
    lines = [f"At {asked} version {reign.version} was champion, since {reign.began_at:%Y-%m-%d %H:%M:%S} UTC {until}."]
    if reign.restored:
        lines.append(f"{reign.actor} put it back in charge when its successor was rolled back: {reign.because}.")
    else:
        incident = f" for incident {reign.incident_id}" if reign.incident_id else ""
        lines.append(f"{reign.actor} promoted it{incident}: {reign.because}.")
    if reign.served_at:
        early = " (after the moment you ask about)" if reign.served_at > moment else ""
        lines.append(f"Every instance had confirmed it by {reign.served_at:%Y-%m-%d %H:%M:%S} UTC{early}.")
    return lines
