"""Incidents that are opened without an alarm: interim re-evaluations and scheduled retrainings. Pure, as `policy` is.

An interim re-evaluation is for a challenger that the gate could not tell from the champion, a scheduled retraining for
a champion whose training data is old.
"""

from dataclasses import dataclass

from autoops.loop.decide.policy import Decision, Freeze, RecentActions, held_up, next_action
from autoops.months import Month

MOST_RE_EVALUATIONS = 2
"""Most interim re-evaluations of one challenger; `gate.at_look` gives the error probability of each."""


@dataclass(frozen=True)
class Undecided:
    """A challenger that the gate could not tell from the champion of that time, `compared_with`.

    `looks` counts the gate's verdicts on it, the first included. `days_needed` is what the last verdict asked for, None
    where no realistic number would do; `days_published` lie in usable months that were published since.
    """

    version: int
    compared_with: int
    looks: int
    days_needed: int | None
    days_published: int
    rolled_back: bool = False
    promoted: bool = False


def overtaken(one: Undecided, champion: int | None, newest_gated: int) -> str | None:
    """Return why another comparison would settle nothing any more; None if it would."""
    if one.rolled_back:
        return f"version {one.version} was rolled back"
    if one.promoted:
        return f"version {one.version} was promoted without it"
    if champion != one.compared_with:
        now = "nobody" if champion is None else f"version {champion}"
        return f"version {one.version} was compared with version {one.compared_with}, and champion is {now} by now"
    if newest_gated > one.version:
        return f"version {newest_gated}, which is newer than version {one.version}, has been to the gate"
    return None


def re_evaluation_due(one: Undecided, champion: int | None, newest_gated: int, standing: int | None) -> Decision:
    """Decide whether to open an interim re-evaluation of a challenger whose incident is closed.

    It is opened when usable months published since the last verdict contain the days that this verdict asked for, and
    not before, because the number of evaluations is limited. An open incident comes first: its own challenger would be
    newer.
    """
    over = overtaken(one, champion, newest_gated)
    if over is not None:
        return Decision("nothing", over)
    # `looks` counts the first verdict too, so `>` leaves MOST_RE_EVALUATIONS interim ones.
    if one.looks > MOST_RE_EVALUATIONS:
        return Decision(
            "nothing", f"the gate has looked at version {one.version} {one.looks} times, and does so no more"
        )
    if one.days_needed is None:
        return Decision("nothing", f"no realistic number of days would tell version {one.version} from the champion")
    if not _enough(one):
        return Decision("wait for data", _days(one))
    if standing is not None:
        return Decision("incident stands", f"{_days(one)}, and incident {standing} comes first")
    return Decision("open incident", _days(one))


def re_evaluate(
    one: Undecided,
    champion: int | None,
    newest_gated: int,
    frozen: Freeze | None,
    recent_actions: RecentActions,
    cooldown_days: float,
) -> Decision:
    """Decide what to do about an incident for an interim re-evaluation, which does not count as a retraining."""
    over = overtaken(one, champion, newest_gated)
    if over is not None:
        return Decision("void", over)
    if not _enough(one):
        return Decision("wait for data", _days(one))
    held = held_up(frozen, recent_actions, cooldown_days, f"the gate would re-evaluate version {one.version}")
    return held or Decision("re-evaluate", _days(one))


def _enough(one: Undecided) -> bool:
    return one.days_needed is not None and one.days_published >= one.days_needed


def _days(one: Undecided) -> str:
    return (
        f"the gate asked for {one.days_needed} more days to tell version {one.version} from version "
        f"{one.compared_with}; {one.days_published} have come in since"
    )


@dataclass(frozen=True)
class Age:
    """Months that tell whether a scheduled retraining is due.

    `newest` is the newest month that may be used. The others are the newest month that the champion was trained on
    (`trained`), that a scheduled retraining of it was opened for (`scheduled`), and that any retraining was given
    (`retrained`). `found_nothing` counts the scheduled retrainings of this champion in which the gate promoted nothing.
    `worth` is the loss that recent retrainings saved for each CPU second, None where it is not known or not asked for.
    """

    newest: Month | None
    trained: Month
    scheduled: Month | None = None
    retrained: Month | None = None
    found_nothing: int = 0
    worth: float | None = None


@dataclass(frozen=True)
class Next:
    """The month with which the next scheduled retraining is due, and why; `tried` is the newest month seen so far."""

    tried: Month
    month: Month
    reason: str


def next_scheduled(age: Age, most_months: int, budget: float | None = None) -> Next:
    """Return when the next scheduled retraining of the champion is due, in event time.

    A champion that was just promoted is compared again with the next month. Each scheduled retraining that promotes
    nothing doubles the wait, up to `most_months`. Where recent retrainings saved less than `budget` for each CPU second
    the wait is `most_months`: never for ever, because nothing else would show that they are worth it again.
    """
    # A scheduled retraining that promoted nothing counts: else each new month would bring another.
    tried = max(month for month in (age.trained, age.scheduled) if month is not None)
    wait = min(2**age.found_nothing, most_months)
    if budget and age.worth is not None and age.worth < budget and wait < most_months:
        wait, why = most_months, f"retrainings saved {age.worth:.3g} for each CPU second, training.budget is {budget:g}"
    elif age.found_nothing:
        plural = "s" if age.found_nothing > 1 else ""
        why = f"{age.found_nothing} scheduled retraining{plural} of this champion promoted nothing"
    else:
        why = "no scheduled retraining of this champion was in vain so far"
    months = f"{wait} month{'s' if wait > 1 else ''}"
    return Next(tried, tried.plus(wait), f"{months} after {tried}, because {why}")


def retraining_due(
    age: Age,
    most_months: int,
    standing: int | None,
    frozen: Freeze | None,
    recent_actions: RecentActions,
    cooldown_days: float,
    most_per_week: int,
    budget: float | None = None,
) -> Decision:
    """Decide whether to open a scheduled retraining of the champion, which needs no alarm.

    Monitoring one model shows that it got worse, and never that another would be better. `next_scheduled` says when;
    `most_months` of 0 turns scheduled retraining off. A freeze, a rollback or `most_per_week` postpone it without a
    page, because it can wait.
    """
    if not most_months:
        return Decision("nothing", "training.retrain_after_months is 0")
    if age.newest is None:
        return Decision("nothing", "no published month may be used")
    due = next_scheduled(age, most_months, budget)
    if age.newest < due.month:
        told = f"{age.newest} is the newest month that may be used, and a scheduled retraining is due with {due.month}"
        return Decision("nothing", f"{told}: {due.reason}")
    if standing is not None:
        return Decision("incident stands", f"a scheduled retraining is due, and incident {standing} comes first")
    # The same months would give the same model.
    if age.retrained is not None and age.retrained >= age.newest:
        return Decision("nothing", f"a retraining was given {age.retrained} already")
    held = next_action(True, frozen, recent_actions, cooldown_days, most_per_week)
    if held.action != "retrain":
        return Decision("cool down" if held.action == "page" else held.action, held.reason)
    tried = "" if due.tried == age.trained else f", the last one was tried with {due.tried}"
    told = f"the champion was trained until {age.trained}{tried}, and {age.newest} is at hand"
    return Decision("open incident", told)
