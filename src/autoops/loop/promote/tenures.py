"""Champion tenures: which version was champion when, and why. Read from the ledger, which has every move."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from autoops.errors import InputError
from autoops.loop.context import Context
from autoops.loop.records.ledger import Entry


@dataclass(frozen=True)
class Tenure:
    """The time in which a version is champion.

    `began_at` is the move of the alias; `served_at` is when every instance had confirmed the version, None where no run
    waited for that. `until` is None for the current champion.
    """

    version: int
    began_at: datetime
    because: str
    actor: str
    incident_id: int | None
    restored: bool
    until: datetime | None = None
    served_at: datetime | None = None


def tenures_of(context: Context) -> list[Tenure]:
    """Return all tenures, oldest first."""
    moves = sorted(
        (entry for kind in ("promoted", "rolled back", "served") for entry in context.ledger.entries(kind=kind)),
        key=lambda entry: entry.id,
    )
    found: list[Tenure] = []
    for entry in moves:
        if entry.kind != "served":
            if found:
                found[-1] = replace(found[-1], until=entry.at)
            found.append(_begun(entry))
        elif found and found[-1].version == entry.model_version and found[-1].served_at is None:
            found[-1] = replace(found[-1], served_at=entry.at)
    return found


def _begun(entry: Entry) -> Tenure:
    restored = entry.kind == "rolled back"
    version = entry.evidence["restored"] if restored else entry.model_version
    return Tenure(int(version or 0), entry.at, entry.reason, entry.actor, entry.incident_id, restored)


def tenure_at(context: Context, moment: datetime) -> Tenure | None:
    """Return the tenure at the moment; None before the first promotion."""
    return next((one for one in reversed(tenures_of(context)) if one.began_at <= moment), None)


def parse_moment(text: str) -> datetime:
    """Return the time in the text, in UTC where it has no offset.

    Raises:
        InputError: it does not parse.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no time: expected one such as 2023-05-02 14:05") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sentences(moment: datetime, tenure: Tenure | None) -> list[str]:
    """Describe which version was champion at the moment, and why."""
    asked = f"{moment:%Y-%m-%d %H:%M} UTC"
    if tenure is None:
        return [f"At {asked} no version had been promoted yet."]
    until = f"until {tenure.until:%Y-%m-%d %H:%M:%S} UTC" if tenure.until else "and still is"
    lines = [
        f"At {asked} version {tenure.version} was champion, since {tenure.began_at:%Y-%m-%d %H:%M:%S} UTC {until}."
    ]
    if tenure.restored:
        lines.append(f"{tenure.actor} put it back in charge when its successor was rolled back: {tenure.because}.")
    else:
        incident = f" for incident {tenure.incident_id}" if tenure.incident_id else ""
        lines.append(f"{tenure.actor} promoted it{incident}: {tenure.because}.")
    if tenure.served_at:
        early = " (after the moment you ask about)" if tenure.served_at > moment else ""
        lines.append(f"Every instance had confirmed it by {tenure.served_at:%Y-%m-%d %H:%M:%S} UTC{early}.")
    return lines
