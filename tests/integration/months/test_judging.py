"""Published months are judged in thirds, and what that leads to."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from autoops.drift.verdict import DriftVerdict
from autoops.loop.context import Context
from autoops.loop.incidents.response import respond
from autoops.loop.monitor import drift_check
from autoops.loop.promote.promotion import promote_version, roll_back
from autoops.loop.retrain import retraining
from autoops.models.registry import CHAMPION, champion_of
from autoops.storage.predictions import LogSelection
from autoops.usecases.taxi.trips import NEW_YORK
from tests.fakes import FakeRegistry
from tests.integration.months.published import APRIL, MAY, publish_part, spans, verdicts
from tests.integration.one_process import publish, retrain


def test_a_steady_month_is_judged_in_thirds_that_share_no_trip_and_opens_no_incident(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    assert drift_check.check(context)["verdict"] == "no new data"
    publish(worlds["steady"], tmp_path, "2022-04")
    found = drift_check.check(context)
    assert verdicts(found) == ["no drift"] * 3
    assert (found["verdict"], found["alarm"], found["actionable"]) == ("no drift", False, [])
    assert context.ledger.incidents() == []

    first, second, third = spans(context, APRIL)
    assert (first[1], second[1]) == (second[0], third[0])
    assert all(end - begin > timedelta(days=9) for begin, end, _ in (first, second, third))
    assert first[2] + second[2] + third[2] == context.log.count(LogSelection(1, "2022-04"))
    assert drift_check.check(context)["verdict"] == "no new data"


def test_several_months_are_caught_up_with_in_one_run_and_each_window_leaves_its_records(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04..2022-06")
    found = drift_check.check(context)
    assert verdicts(found) == ["no drift"] * 9
    checks = context.checks.latest(judged=True, limit=100)[::-1]
    assert [check.id for check in checks] == [window["check_id"] for window in found["windows"]]
    assert [check.report["source"] for check in checks] == ["2022-04"] * 3 + ["2022-05"] * 3 + ["2022-06"] * 3
    moments = [check.event_from for check in checks]
    assert moments == sorted(moments)
    assert len({run["name"] for run in context.registry.checks}) == 9
    assert len({check.report["files"][0] for check in checks}) == 9
    assert len(context.ledger.entries(kind="check")) == 9
    assert found["check_id"] == checks[-1].id


def test_a_changed_month_opens_an_incident_by_itself(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish(worlds["speed"], tmp_path, "2022-04..2022-05")
    found = drift_check.check(context)
    assert verdicts(found) == ["no drift"] * 3 + ["drift"] * 2
    (incident,) = context.ledger.incidents()
    assert found["decision"] == "open incident"
    assert found["incident_id"] == incident.id
    assert found["actionable"] == [incident.id]
    assert found["reason"].startswith("2022-05-11 to 2022-05-21: ")
    assert abs(incident.evidence_start - MAY.starts_in(NEW_YORK)) < timedelta(days=1)
    assert incident.evidence_end < MAY.ends_in(NEW_YORK)

    after = drift_check.check(context)
    assert verdicts(after) == ["drift"]
    assert (after["decision"], after["incident_id"], after["actionable"]) == ("incident stands", incident.id, [])
    assert drift_check.check(context)["verdict"] == "no new data"
    assert len(context.ledger.incidents()) == 1


def test_an_incident_keeps_later_months_for_the_version_that_it_leads_to(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["speed"], tmp_path, "2022-04..2022-05")
    opened = drift_check.check(context)
    assert retrain(context, "second", incident_id=opened["incident_id"])["promoted"]
    assert drift_check.check(context)["verdict"] == "no new data"

    publish(worlds["speed"], tmp_path, "2022-06")
    found = drift_check.check(context)
    assert [window["model_version"] for window in found["windows"]] == [2] * 3
    assert context.ledger.incidents(unresolved=True) == [], "one window of three may alarm by chance"
    assert context.log.count(LogSelection(1, "2022-06")) == 0


def test_from_the_months_of_a_retraining_that_replaced_nothing_no_other_is_asked_for(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["speed"], tmp_path, "2022-04..2022-05")
    first = drift_check.check(context)["incident_id"]
    plan = retraining.begin(context, "refused", incident_id=first)
    verdict = {"decision": "reject", "reason": "worse"}
    context.ledger.record("gate", "reject", actor="test", incident_id=first, model_version=2, evidence=verdict)
    retraining.close(context, plan, {"promoted": False, "version": 2, "reason": "worse"})
    rest = drift_check.check(context)
    assert (verdicts(rest), rest["decision"], rest["actionable"]) == (["drift"], "cool down", [])

    publish(worlds["speed"], tmp_path, "2022-06")
    found = drift_check.check(context)
    assert (verdicts(found), found["decision"]) == (["drift"], "open incident")
    assert found["actionable"] == [found["incident_id"]] != [first]


def test_what_a_version_was_judged_on_stays_judged_when_it_comes_back(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["speed"], tmp_path, "2022-04..2022-05")
    opened = drift_check.check(context)["incident_id"]
    retrain(context, "second", incident_id=opened)
    context.clock.advance(hours=1)
    roll_back(context, reason="worse at night", actor="me")
    back = drift_check.check(context)
    assert [(window["model_version"], window["decision"]) for window in back["windows"]] == [(1, "watch")]


class PromotingRegistry(FakeRegistry):
    """Has another champion once a check has been logged."""

    def log_check(self, *of_a_check: object) -> str:
        self.aliases[CHAMPION] = 2
        return super().log_check(*of_a_check)


def test_another_champion_ends_the_catching_up(
    context: Context, trained: FakeRegistry, worlds: dict[str, Path], tmp_path: Path
) -> None:
    registry = PromotingRegistry(tmp_path / "another")
    for _ in range(2):
        registry.register(replace(trained.runs[1], bundle=trained.bundle_of(1)))
    overtaken = replace(context, registry=registry)
    promote_version(overtaken, 1, reason="the first", actor="me")
    publish(worlds["steady"], tmp_path, "2022-04")
    assert [window["model_version"] for window in drift_check.check(overtaken)["windows"]] == [1]
    assert [window["model_version"] for window in drift_check.check(overtaken)["windows"]] == [2] * 3


def test_what_two_checks_judged_at_once_counts_once(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish_part(worlds["speed"], tmp_path, MAY, days=12)
    found = drift_check.check(context)
    assert (verdicts(found), found["decision"]) == (["drift"], "watch")
    (judged,) = context.checks.latest(judged=True)
    again = {name: getattr(judged, name) for name in judged.__dataclass_fields__ if name not in ("id", "checked_at")}
    twice = context.checks.append(**again)
    verdict = DriftVerdict("drift", True, "slower", 1_000, 1_000)
    assert respond(context, champion_of(context.registry), verdict, twice)[:2] == ("watch", None)


def test_a_bad_promotion_is_rolled_back_by_the_first_third_of_the_next_month(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["speed"], tmp_path, "2022-05")
    context.clock.advance(hours=1)
    assert retrain(context, "mistake", months="2022-05", force=True)["promoted"]
    publish(worlds["steady"], tmp_path, "2022-06")
    found = drift_check.check(context)
    assert (found["decision"], len(found["windows"])) == ("roll back", 1)
    assert champion_of(context.registry).number == 1
    again = drift_check.check(context)
    assert {window["model_version"] for window in again["windows"]} == {1}
    assert len(context.ledger.entries(kind="rolled back")) == 1
