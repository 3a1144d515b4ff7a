"""What goes wrong in the demo's further acts: a bad model that somebody forces in, and a month of broken data.

People make both mistakes here, and all that the story does about them is to ask Airflow for a retraining by hand at the
right moment. What comes of it is the loop's doing.
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
    """`told` is what happens in the month. `form` is what `retrain` is triggered with, when the month begins or, of an
    act that waits for it, when it is published. `rolled_back` says that the loop should take back what it promotes."""

    title: str
    month: Month
    told: str
    form: Mapping[str, Any]
    when_published: bool = False
    rolled_back: bool = False


def parse_choice(text: str) -> Choice:
    """Raises InputError that names what there is."""
    for choice in CHOICES:
        if choice == text:
            return choice
    raise InputError(f"acts {text!r}: expected one of {', '.join(CHOICES)}")


def bad_promotion(month: Month, old_months: Sequence[Month]) -> Scenario:
    """Version 3 learns from months in which traffic was another."""
    months = f"{old_months[0]}..{old_months[-1]}"
    return Scenario(
        "act 2: bad promotion",
        month,
        f"somebody retrains on {months}, before traffic changed, and forces the result in",
        {"months": months, "force": True, "reason": "back to what worked in spring"},
        rolled_back=True,
    )


def broken_data(month: Month) -> Scenario:
    """The form is left empty, so that the loop chooses the months itself."""
    return Scenario(
        "act 3: broken data",
        month,
        "from here on distances are in kilometres, live and in the month that is published at its end",
        {"reason": f"{month} is out"},
        when_published=True,
    )


@dataclass
class Driver:
    """Gives each act its cue, once."""

    acts: Sequence[Scenario]
    airflow: AirflowClient
    say: Callable[[str, str], None]
    _told: list[Scenario] = field(default_factory=list)
    _asked: list[Scenario] = field(default_factory=list)
    _run_id: str | None = None

    def look(self, playing: Month | None, published: Sequence[Month]) -> None:
        """Called every moment. `playing` is the month whose trips are sent."""
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
        """Whether a run that it asked for goes on."""
        return self._run_id is not None

    @property
    def expects_rollback(self) -> bool:
        """Of what that run promotes."""
        return self.under_way and self._asked[-1].rolled_back


def _shown(form: Mapping[str, Any]) -> str:
    months = form.get("months", "the months left empty")
    return f"{months}{', force' if form.get('force') else ''}"
