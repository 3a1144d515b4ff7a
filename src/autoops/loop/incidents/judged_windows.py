"""The champion's judged windows, read back from its checks; persistence is counted over them.

Every detector has a history of its own. Where labels arrive for a part of the rows, or once a night, most checks judge
predictions alone and say nothing about loss.
"""

from collections.abc import Set

from autoops.drift.verdict import findings_of, judged_findings
from autoops.loop.context import Context
from autoops.loop.data.cursor import promoted_at
from autoops.loop.decide.policy import JudgedWindow
from autoops.loop.records.checks import Check
from autoops.models.registry import ModelVersion

MOST_ERRORS = 20
"""Windows that the EWMA error is computed from; older ones hardly count in it."""


def judged_windows(context: Context, champion: ModelVersion, findings: Set[str]) -> list[JudgedWindow]:
    """Return the windows of this version since its promotion, newest first.

    They reach as far back as it takes for `alarms_of` of them to have looked for each of the alarm types `findings`. A
    window that two concurrent checks have judged counts once.
    """
    found: dict[JudgedWindow, None] = {}
    missing = dict.fromkeys(findings, context.settings.drift.alarms_of)
    for check in context.checks.judged(champion.number, promoted_at(champion)):
        window = _window(check)
        if window is None or window in found:
            continue
        found[window] = None
        missing = {name: count - window.looked_for(name) for name, count in missing.items()}
        if all(count <= 0 for count in missing.values()):
            break
    return list(found)


def earlier_errors(context: Context, champion: ModelVersion) -> list[float]:
    """Return the relative errors of the windows whose ground truth was judged since the promotion, newest first.

    There are at most `MOST_ERRORS`, which the next verdict averages (EWMA error). A window that two concurrent checks
    have judged counts once.
    """
    found: dict[tuple[object, object], float] = {}
    for check in context.checks.judged(champion.number, promoted_at(champion)):
        error = check.report.get("relative_error")
        if error is not None:
            found.setdefault((check.event_from, check.event_until), error)
        if len(found) == MOST_ERRORS:
            break
    return list(found.values())


def _window(check: Check) -> JudgedWindow | None:
    if not (check.event_from and check.event_until):
        return None
    verdict = {"alarm": check.alarm, **check.report}
    return JudgedWindow(findings_of(verdict), check.event_from, check.event_until, judged_findings(verdict))
