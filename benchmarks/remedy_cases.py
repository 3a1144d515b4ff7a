"""Changes and the right remedy for each, laid down before any run of `benchmarks/remedies.py`."""

from dataclasses import dataclass
from typing import Literal

from autoops.months import Month, month_range
from autoops.usecases.taxi.sample import Scenario

FIRST, TRAINED_UNTIL, CHANGES_FROM = Month(2023, 1), Month(2023, 3), Month(2023, 5)

Right = Literal["nothing", "retrain and promote", "retrain", "quarantine"]
RIGHT: dict[Right, str] = {
    "nothing": "no incident, no retraining, no quarantine, and nobody is paged",
    "retrain and promote": "no incident before the change; then one, and a retraining for it that the gate promotes; "
    "the champion of the end is better than version 1 on the next month, which nobody has seen; no quarantine",
    "retrain": "the same, but whether the successor is worth it is left to the gate; it is no worse on the next month",
    "quarantine": "the broken month, and no other, is quarantined, and somebody is paged; no incident; the next "
    "retraining leaves it out",
}


@dataclass(frozen=True)
class Case:
    """So many months are published after version 1 is trained; the change holds from CHANGES_FROM on for at most
    `changed_months`."""

    name: str
    scenario: Scenario
    right: Right
    published_months: int = 4
    changed_months: int = 12

    @property
    def published(self) -> list[Month]:
        return [*month_range(TRAINED_UNTIL.plus(1), TRAINED_UNTIL.plus(self.published_months))]

    @property
    def ahead(self) -> Month:
        """Which is never published."""
        return TRAINED_UNTIL.plus(self.published_months + 1)


CASES = (
    Case("steady", "steady", "nothing"),
    Case("mix shift harmless to the model", "zones", "nothing"),
    Case("mix shift that hurts", "outskirts", "retrain and promote"),
    Case("concept shift, a quarter slower", "speed", "retrain and promote"),
    Case("unit change in one month", "unit", "quarantine", changed_months=1),
    Case("null surge in one month", "nulls", "quarantine", changed_months=1),
    Case("volume collapse in one month", "collapse", "quarantine", changed_months=1),
    Case("slow drift, 5 % slower each month", "slow", "retrain and promote", published_months=6),
    Case("one bad day", "bad_day", "nothing", changed_months=1),
    Case("mix shift that no model can take back", "mix", "retrain"),
)


@dataclass(frozen=True)
class Played:
    """What came of a run, in order of time. `moved` is the share of windows since the change in which a feature was
    beyond chance; `before` and `after` are the errors, on the month after the last, of version 1 and of the champion
    of the end; `retrainings` says what was done, interim re-evaluations included; `next_retraining` are the months
    that one begun by hand at the end is given."""

    case: str
    seed: int
    quarantined: list[str]
    incidents_until: list[str]
    retrainings: list[str]
    promoted: int
    rolled_back: int
    pages: int
    moved: float
    before: float
    after: float
    next_retraining: list[str]
    reasons: list[str]

    @property
    def remedy(self) -> str:
        """What came, in words."""
        parts = [f"quarantine of {', '.join(self.quarantined)}"] if self.quarantined else []
        if self.incidents_until and not self.retrainings:
            parts.append("incident, no retraining")
        parts += [*self.retrainings, *["roll back"] * self.rolled_back]
        return "; ".join(parts) or "nothing"


def right(case: Case, played: Played) -> bool:
    if case.right == "quarantine":
        broken = str(CHANGES_FROM)
        kept_out = broken not in played.next_retraining
        return played.remedy == f"quarantine of {broken}" and played.pages > 0 and kept_out
    if case.right == "nothing":
        return played.remedy == "nothing" and not played.pages
    early = min(played.incidents_until, default="") < CHANGES_FROM.starts_at.isoformat()
    if early or played.quarantined or played.rolled_back or not played.retrainings:
        return False
    if case.right == "retrain":
        return played.after <= played.before
    return played.promoted > 0 and played.after < played.before
