"""The demo's further scenarios: a person forces a bad model in, and a month of data is broken.

Both are mistakes of people. The story only asks Airflow for a manual retraining at the right time. The loop does the
rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from autoops.errors import InputError
from autoops.months import Month
from autoops.services.airflow import AirflowClient

Choice = Literal["core", "all"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


@dataclass(frozen=True)
class Scenario:
    """A mistake in one month.

    `told` says what happens in the month. `form` is what `retrain` is triggered with: when the month begins, or, with
    `when_published`, when it is published. `rolled_back` says that the loop should roll back what the retraining
    promotes.
    """

    title: str
    month: Month
    told: str
    form: Mapping[str, Any]
    when_published: bool = False
    rolled_back: bool = False


def parse_choice(text: str) -> Choice:
    """Return the choice of this name.

    Raises:
        InputError: there is no such choice; the message names the existing ones.
    """
    for choice in CHOICES:
        if choice == text:
            return choice
    raise InputError(f"acts {text!r}: expected one of {', '.join(CHOICES)}")


def bad_promotion(month: Month, old_months: Sequence[Month]) -> Scenario:
    """Return the scenario of a version that learns from months before the change of traffic, and is forced in."""
    months = f"{old_months[0]}..{old_months[-1]}"
    return Scenario(
        "act 2: bad promotion",
        month,
        f"somebody retrains on {months}, before traffic changed, and forces the result in",
        {"months": months, "force": True, "reason": "back to what worked in spring"},
        rolled_back=True,
    )


def broken_data(month: Month) -> Scenario:
    """Return the scenario of broken data; its form names no months, so that the loop chooses them itself."""
    return Scenario(
        "act 3: broken data",
        month,
        "from here on distances are in kilometres, live and in the month that is published at its end",
        {"reason": f"{month} is out"},
        when_published=True,
    )


@dataclass
class Driver:
    """Triggers each scenario, once."""

    acts: Sequence[Scenario]
    airflow: AirflowClient
    say: Callable[[str, str], None]
    _told: list[Scenario] = field(default_factory=list)
    _asked: list[Scenario] = field(default_factory=list)
    _run_id: str | None = None

    def look(self, playing: Month | None, published: Sequence[Month]) -> None:
        """Announce and trigger the scenarios that are due; `playing` is the month whose rows are sent.

        The story calls it at every look.
        """
        for scenario in self.acts:
            if scenario not in self._told and playing == scenario.month:
                self._told.append(scenario)
                self.say(scenario.title, scenario.told)
            due = scenario.month in published if scenario.when_published else scenario in self._told
            if due and scenario not in self._asked:
                self._asked.append(scenario)
                self._run_id = self.airflow.trigger("retrain", scenario.form)
                self.say(scenario.title, f"asked Airflow for a retraining: {_shown(scenario.form)}")
        if self._run_id is not None and self.airflow.run("retrain", self._run_id).finished:
            self._run_id = None

    @property
    def under_way(self) -> bool:
        """Return whether a run that the driver triggered is not finished yet."""
        return self._run_id is not None

    @property
    def expects_rollback(self) -> bool:
        """Return whether the version that the current run promotes should be rolled back."""
        return self.under_way and self._asked[-1].rolled_back


def _shown(form: Mapping[str, Any]) -> str:
    months = form.get("months", "the months left empty")
    return f"{months}{', force' if form.get('force') else ''}"
