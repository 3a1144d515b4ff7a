"""The demo: the whole loop on this machine with real services, reported as it happens."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from autoops import bootstrap, console, services
from autoops.errors import InputError
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.replay.client import served_version
from autoops.replay.demo import closing, stage, worlds
from autoops.replay.demo.observer import Observer
from autoops.replay.demo.outcome import REPORT, SUMMARY, Outcome, sum_up
from autoops.replay.demo.report import write_report
from autoops.replay.demo.scenarios import Choice
from autoops.replay.demo.story import Story
from autoops.replay.demo.timeline import DEMO, Timeline
from autoops.replay.demo.worlds import World
from autoops.services.health import airflow_client
from autoops.settings import Settings, load_settings
from autoops.storage import database

SAMPLE_TREES = 50
"""Enough for some ten thousand rows a month, and trained in half the time."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class DemoOptions:
    """Options of a demo.

    `source` is a directory or URL, with the `months` to play from it. Without a source, months of `made_up` rows each
    are made up. `replayed` rows of each month are sent, `rate` of them per second. The further scenarios (`acts`) need
    made-up months. `keep` leaves the services up. `usecase` replaces that of the
    configuration.
    """

    source: str | None = None
    months: Sequence[Month] = ()
    replayed: int = 3_600
    rate: float = 200
    made_up: int = 12_000
    keep: bool = False
    acts: Choice = "core"
    usecase: str | None = None

    def __post_init__(self) -> None:
        if (self.source is None) != (not self.months):
            raise InputError("demo: --source and --months go together; without both the months are made up")
        if self.months:
            worlds.check_months(self.months)
        if self.acts != "core" and self.source is not None:
            raise InputError("demo: --acts all makes mistakes on purpose, for which it needs its made-up months")


def run(options: DemoOptions) -> int:
    """Play the demo in `storage.home`/demo; return 0 when the story held, 1 when it did not.

    Raises:
        Conflict: another demo plays there, or the folder has contents that no demo made.
        NotPublished: a month of the options' source is not there.
        SourceUnavailable: that source does not answer.
        ServiceUnavailable: a service or a retraining fails.
    """
    base = load_settings(usecase=options.usecase)
    home = base.storage.home / "demo"
    stage.check_home(home)
    with stage.reserved(home), interruptible(), Timeline(console.out) as timeline:
        _end_earlier(base, home, timeline)
        world = _world(options, stage.cleared(home), base)
        settings = stage.enter(home, base, overrides(base, options, home))
        with _services(settings, timeline, options.keep):
            outcome = _play(settings, world, options, timeline)
    (home / SUMMARY).write_text(json.dumps(outcome.summary.to_json(), indent=2) + "\n")
    write_report(home / REPORT, outcome)
    closing.show(outcome, home)
    if options.keep:
        closing.show_addresses(settings)
    return 1 if outcome.summary.complaints() else 0


def _end_earlier(base: Settings, home: Path, timeline: Timeline) -> None:
    """Stop the services that an earlier demo left running, because it was killed or was to keep them."""
    own = base.model_copy(update={"storage": base.storage.model_copy(update={"home": home})})
    if home.is_dir() and services.down(own):
        timeline.say(DEMO, "stopped what an earlier demo had left running")


def _world(options: DemoOptions, home: Path, base: Settings) -> World:
    if options.source is None:
        return worlds.made_up(home / "world", options.made_up, base.usecase, options.acts)
    return worlds.real(options.source, options.months, base.contract)


def overrides(base: Settings, options: DemoOptions, home: Path) -> stage.Overrides:
    """Make the folder of published months; return the demo's changes to the configuration, by section.

    In a made-up world there is no scheduled retraining, which would interrupt the story.
    """
    published = home / "published"
    published.mkdir()
    changed = stage.own_overrides(base, published)
    if options.source is not None:
        return changed
    changed["training"] = {"retrain_after_months": 0}
    if "n_estimators" in base.model.parameters:
        changed["model"] = {"parameters": base.model.parameters | {"n_estimators": SAMPLE_TREES}}
    return changed


def _play(settings: Settings, world: World, options: DemoOptions, timeline: Timeline) -> Outcome:
    observer = Observer(database.connect(settings), settings.contract)
    served = partial(served_version, settings.api_url)
    with airflow_client(settings) as airflow:
        story = Story(settings, world, options.replayed, options.rate, timeline, observer, airflow, served)
        story.train_first_model()
        played = story.live_through_the_rest()
    champion = champion_of(bootstrap.context(settings).registry).number
    return sum_up(world.name, played, observer, champion, served(), timeline.elapsed_s, world.acts, world.made_up)


@contextmanager
def _services(settings: Settings, timeline: Timeline, keep: bool) -> Iterator[None]:
    """Start the services, and stop them after the block; `keep` leaves them up unless an error was raised."""
    try:
        services.up(settings, progress=lambda line: timeline.say("services", line))
        yield
    # BaseException: `interruptible` turns a signal into SystemExit.
    except BaseException:
        _stop(settings, timeline)
        raise
    if not keep:
        _stop(settings, timeline)


def _stop(settings: Settings, timeline: Timeline) -> None:
    """Stop the services; further interrupts are ignored until they are stopped."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        timeline.say("services", "stopping")
        services.down(settings)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into SystemExit, so that the block unwinds and leaves nothing running.

    This includes Ctrl-C in a demo that a shell started in the background, where it would be ignored. For the main
    thread only.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, unwind) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
