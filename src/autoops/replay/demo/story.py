"""The demo's story: it publishes months, asks Airflow for a first model, and sends rows.

The scheduled DAGs do all else; the story observes and reports. In the further scenarios it makes people's mistakes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from autoops.errors import ServiceUnavailable
from autoops.loop.records.ledger import Entry
from autoops.months import Month
from autoops.replay.demo.observer import Observer, settles
from autoops.replay.demo.scenarios import Driver
from autoops.replay.demo.stage import newest_tails
from autoops.replay.demo.timeline import DEMO, Timeline
from autoops.replay.demo.worlds import World, label_lag
from autoops.replay.director import Director
from autoops.replay.itinerary import publish
from autoops.replay.pace import Pace
from autoops.replay.player import Played, PlayOptions
from autoops.replay.playing import Board, Playing
from autoops.services.airflow import AirflowClient
from autoops.settings import Settings

LOOK_S = 0.4
RETRAINING_TIMEOUT_S = 900


@dataclass
class Story:
    """A demo from its first month to its last.

    An alarm is recorded shortly before its incident, so the story ends only when nothing has moved for `quiet_s`.
    """

    settings: Settings
    world: World
    sample: int
    rate: float
    timeline: Timeline
    observer: Observer
    airflow: AirflowClient
    served_version: Callable[[], int | None]
    quiet_s: float = 3
    published: list[Month] = field(default_factory=list)
    version: int = 0

    def __post_init__(self) -> None:
        self.driver = Driver(self.world.acts, self.airflow, self.timeline.say)

    def train_first_model(self) -> None:
        """Publish the first months, and have Airflow train on them until a version is served.

        Raises:
            ServiceUnavailable: the training failed or took too long, or no version is served after it.
        """
        for month in self.world.first:
            self._publish(month)
            self.published.append(month)
        self.timeline.say(DEMO, f"published {', '.join(map(str, self.published))}; asking Airflow for a first model")
        run_id = self.airflow.trigger("retrain", {"reason": "first model"})
        self._wait("the first model", lambda: self._first_model_came(run_id), RETRAINING_TIMEOUT_S)
        version = self.served_version()
        if version is None:
            raise ServiceUnavailable(f"the first training is over and no version is served: see {self._logs}")
        self.version = version

    def _publish(self, month: Month) -> None:
        with TemporaryDirectory(prefix="autoops-") as folder:
            raw = Path(folder) / self.world.source.file_name(month)
            self.world.source.fetch(month, raw)
            publish(raw, month, self._published_directory, self.settings.contract)

    def _first_model_came(self, run_id: str) -> bool:
        return self.served_version() is not None or self.airflow.run("retrain", run_id).finished

    def live_through_the_rest(self) -> Played:
        """Send the later months through the API, and wait until the loop has dealt with what they brought.

        Return the outcome of the replay.

        Raises:
            ServiceUnavailable: a retraining failed or took too long.
        """
        pace = Pace(rate=self.rate)
        director, board = Director(pace, self.rate, self.settings.drift.window_size), Board(self.settings.contract)
        options = PlayOptions(
            self.world.source,
            self.world.later,
            self.settings.api_url,
            self.settings.contract,
            sample=self.sample,
            label_lag=label_lag(self.settings.contract),
            publish_to=self._published_directory,
        )
        with Playing(options, pace, [director, board]) as playing:
            self._wait_for_the_end(playing, director, board)
            played = playing.result()
        self.timeline.idle()
        return played

    def _wait_for_the_end(self, playing: Playing, director: Director, board: Board) -> None:
        """Wait until the rows are answered and judged, and no retraining is due."""
        since_due: float | None = None
        busy_at = time.monotonic()
        while True:
            self._look(director)
            self._tell(director, board)
            self.driver.look(board.month, self.published)
            due = self.driver.under_way or self.observer.retraining_is_due(self.published)
            director.steer(due)
            if playing.under_way or director.waits or due:
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at > self.quiet_s:
                return
            since_due = (since_due or time.monotonic()) if due else None
            self._give_up_after(since_due and since_due + RETRAINING_TIMEOUT_S, "a retraining")
            time.sleep(LOOK_S)

    def _tell(self, director: Director, board: Board) -> None:
        # `published` begins with the first months, which no replay ends.
        for month in director.ended[len(self.published) - len(self.world.first) :]:
            self.published.append(month)
            self.timeline.say(DEMO, f"{month} is over and published; {board.outcome(month)}")
        if director.version not in (0, self.version):
            self.version = director.version
            self.timeline.say("swapped", f"the API answers with version {self.version}", "bold green")
        if board.month is not None:
            rows = f"{board.answers} of {board.rows} {self.settings.contract.plural}"
            label = f"{board.month}, {rows}, version {self.version}"
            self.timeline.progress(label, board.answers, board.rows)

    def _wait(self, what: str, done: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            self._look()
            self._give_up_after(deadline, what)
            time.sleep(LOOK_S)
        # Entries since the last look, such as the promotion that ended the wait.
        self._look()

    def _look(self, director: Director | None = None) -> None:
        """Report new ledger entries, and direct the client by them and by new checks.

        Raises:
            ServiceUnavailable: a retraining failed for good.
        """
        for entry in self.observer.news():
            self.timeline.entry(entry)
            if entry.kind == "retraining failed":
                raise ServiceUnavailable(f"{entry.reason}; see {self._logs}")
            if director is not None:
                self._direct(director, entry)
        for check in self.observer.new_checks():
            if director is not None and settles(check):
                director.judged(check.model_version)

    def _direct(self, director: Director, entry: Entry) -> None:
        if entry.model_version is None:
            return
        if entry.kind == "promoted" and self.driver.expects_rollback:
            director.expect_rollback(entry.model_version)
        if entry.kind == "rolled back":
            director.rolled_back(entry.model_version)

    def _give_up_after(self, deadline: float | None, what: str) -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise ServiceUnavailable(f"gave up waiting for {what}; the newest logs end so:\n{newest_tails(self._logs)}")

    @property
    def _published_directory(self) -> Path:
        return Path(self.settings.data.source)

    @property
    def _logs(self) -> Path:
        return self.settings.storage.home / "logs"
