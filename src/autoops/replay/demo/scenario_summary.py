"""Outcomes of the demo's further scenarios: their part of summary.json, of the closing lines and of the page. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from autoops.loop.data.validation import QUARANTINED
from autoops.loop.promote.promotion import COMPARED
from autoops.loop.records.checks import BROKEN, Check
from autoops.loop.records.ledger import Entry, Incident
from autoops.months import Month
from autoops.replay.demo.scenarios import Scenario
from autoops.replay.tally import Tally


@dataclass(frozen=True)
class BadPromotion:
    """The outcome of the version that was forced in.

    `forced_version` is None where none was. `windows` of its labelled rows were compared before it was rolled back.
    `served_to_rolled_back_s` runs from its first answer to the rollback, in wall time.
    """

    month: str
    forced_version: int | None = None
    forced_because: str | None = None
    replaced_version: int | None = None
    windows: int = 0
    rolled_back_to: int | None = None
    served_to_rolled_back_s: float | None = None
    because: str | None = None

    def complaints(self) -> Iterator[str]:
        """Yield the first reason why the scenario failed; nothing where it went as expected."""
        if self.forced_version is None:
            yield f"no version was forced in in {self.month}"
        elif self.rolled_back_to is None:
            yield f"version {self.forced_version}, which was forced in, was not rolled back"
        elif self.rolled_back_to != self.replaced_version:
            yield f"version {self.rolled_back_to} was put back, version {self.replaced_version} had been replaced"
        elif self.windows != 1:
            yield f"version {self.forced_version} was rolled back after {self.windows} watch windows, not after one"
        elif self.served_to_rolled_back_s is None:
            yield f"version {self.forced_version} answered nobody before it was rolled back"

    def sentences(self) -> Iterator[str]:
        """Yield one sentence on the rollback, with its delay in wall seconds; nothing where there was none."""
        if self.rolled_back_to is not None and self.served_to_rolled_back_s is not None:
            windows = f"{self.windows} watch window{'' if self.windows == 1 else 's'}"
            yield (
                f"version {self.forced_version} was forced in over version {self.replaced_version} and rolled back by "
                f"itself after {windows}, {self.served_to_rolled_back_s:.0f} s after its first answer: {self.because}"
            )


@dataclass(frozen=True)
class BrokenMonth:
    """The outcome of the month of broken data.

    `checks` counts the checks of live traffic that found the data broken, the first of them `because`. `quarantined` is
    the ledger's reason for the quarantine of the published month, with its `findings`. `trained` are the training
    months, by version number, of the versions trained after the quarantine and of any that was trained on the month.
    `incidents` counts the drift incidents whose evidence ends in the month or later.
    """

    month: str
    checks: int = 0
    because: str | None = None
    incidents: int = 0
    quarantined: str | None = None
    findings: tuple[str, ...] = ()
    trained: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def complaints(self) -> Iterator[str]:
        """Yield every reason why the scenario failed; nothing where it went as expected."""
        if not self.checks:
            yield f"no check of live traffic found the data of {self.month} broken"
        if self.incidents:
            yield f"the broken data of {self.month} opened an incident"
        if self.quarantined is None:
            yield f"{self.month} was published and not quarantined"
        if not self.trained:
            yield f"nothing was trained after {self.month} came out"
        for version, months in self.trained.items():
            if self.month in months:
                yield f"version {version} was trained on {self.month}"

    def sentences(self) -> Iterator[str]:
        """Yield one sentence on the checks, one on the quarantine and one per version, where there are any."""
        if self.checks:
            windows = f"{self.checks} window{'' if self.checks == 1 else 's'} of live traffic"
            yield f"{windows} in {self.month}, {self.incidents} incidents: {self.because}"
        if self.quarantined is not None:
            yield f"published and quarantined: {self.quarantined}"
        for version, months in self.trained.items():
            yield f"version {version}, trained by hand after that, learnt from {', '.join(months)}"


@dataclass(frozen=True)
class ScenarioSummary:
    """The outcomes of both further scenarios."""

    bad_promotion: BadPromotion
    broken_data: BrokenMonth

    def complaints(self) -> list[str]:
        """Return why the scenarios failed; empty where both went as expected."""
        return [*self.bad_promotion.complaints(), *self.broken_data.complaints()]

    def sentences(self) -> list[str]:
        """Return the sentences on both scenarios, each after its scenario's title."""
        told = (("bad promotion", self.bad_promotion), ("broken data", self.broken_data))
        return [f"{title}: {sentence}" for title, scenario in told for sentence in scenario.sentences()]

    def to_json(self) -> Mapping[str, object]:
        """Return the outcomes as they stand under `acts` in summary.json."""
        return asdict(self)


def scenario_summary(
    acts: Sequence[Scenario],
    tally: Tally,
    checks: Sequence[Check],
    incidents: Sequence[Incident],
    entries: Sequence[Entry],
) -> ScenarioSummary | None:
    """Return the outcomes of the further scenarios, None where only the core was played."""
    if not acts:
        return None
    forced = next(scenario for scenario in acts if scenario.rolled_back)
    broken = next(scenario for scenario in acts if not scenario.rolled_back)
    zone = tally.contract.zone
    return ScenarioSummary(
        _bad_promotion(forced.month, tally, entries), _broken(broken.month, zone, checks, incidents, entries)
    )


def _bad_promotion(month: Month, tally: Tally, entries: Sequence[Entry]) -> BadPromotion:
    """Return the outcome of the forced version; nothing else is forced in a demo."""
    by_force = {e.incident_id for e in entries if e.kind == "retraining begun" and e.evidence.get("force")}
    promoted = next((e for e in entries if e.kind == "promoted" and e.incident_id in by_force), None)
    if promoted is None or promoted.model_version is None:
        return BadPromotion(str(month))
    own = [entry for entry in entries if entry.model_version == promoted.model_version]
    back = next((entry for entry in own if entry.kind == "rolled back"), None)
    return BadPromotion(
        str(month),
        forced_version=promoted.model_version,
        forced_because=promoted.reason,
        replaced_version=promoted.evidence["replaces"],
        windows=sum(entry.kind == COMPARED for entry in own),
        rolled_back_to=back.evidence["restored"] if back else None,
        served_to_rolled_back_s=_seconds(tally, promoted.model_version, back.at) if back else None,
        because=back.reason if back else None,
    )


def _seconds(tally: Tally, version: int, until: datetime) -> float | None:
    first = tally.first_answers.get(version)
    return None if first is None else round((until - first.answered_at).total_seconds(), 1)


def _broken(
    month: Month, zone: ZoneInfo, checks: Sequence[Check], incidents: Sequence[Incident], entries: Sequence[Entry]
) -> BrokenMonth:
    found = [c for c in checks if c.verdict == BROKEN and c.event_until and Month.of(c.event_until, zone) == month]
    opened = [i for i in incidents if i.kind == "drift" and i.evidence_end and i.evidence_end >= month.starts_in(zone)]
    kept_out = next((e for e in entries if e.kind == QUARANTINED and e.evidence.get("month") == str(month)), None)
    return BrokenMonth(
        str(month),
        checks=len(found),
        because=found[0].reason if found else None,
        incidents=len(opened),
        quarantined=kept_out.reason if kept_out else None,
        findings=tuple(one["name"] for one in kept_out.evidence["findings"]) if kept_out else (),
        trained={
            version: months
            for entry, version, months in _trained(entries)
            if str(month) in months or (kept_out is not None and entry.id > kept_out.id)
        },
    )


def _trained(entries: Sequence[Entry]) -> Iterator[tuple[Entry, int, Sequence[str]]]:
    """Yield every trained version's ledger entry, its number, and the months that it was trained on."""
    months: dict[int | None, Sequence[str]] = {}
    for entry in entries:
        if entry.kind == "retraining begun":
            months[entry.incident_id] = entry.evidence["months"]
        if entry.kind == "trained" and entry.model_version is not None:
            yield entry, entry.model_version, months[entry.incident_id]
