"""A replay on a thread of its own, and its progress."""

from concurrent.futures import ThreadPoolExecutor

from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import Listener, Played, PlayOptions, play
from autoops.replay.tally import Answer, Sums
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import measure_told


class Board(Listener):
    """The month that is being played and how far it is, and each version's errors by month.

    The player's thread writes it.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.month: Month | None = None
        self.trips = 0
        self.answers = 0
        self.errors: dict[tuple[Month, int], Sums] = {}

    def month_began(self, month: Month, trips: int) -> None:
        """Set the month that is being played and its number of `trips`, and count its answers from 0."""
        self.month, self.trips, self.answers = month, trips, 0

    def answered(self, month: Month, answer: Answer) -> None:
        """Count the answer, and add its error to those of its version in the month."""
        self.answers += 1
        self.errors.setdefault((month, answer.model_version), Sums()).add(Sums.of(answer, self._contract))

    def outcome(self, month: Month) -> str:
        """Return what each version did in the month, in words."""
        parts = [(version, sums) for (of, version), sums in self.errors.items() if of == month]
        return "; ".join(
            f"version {version} answered {sums.rows} {self._contract.plural}, {measure_told(self._contract, sums.mae)}"
            for version, sums in parts
        )


class Playing:
    """A replay on a thread of its own.

    Use as a context manager: the replay is stopped when the block is left, however it is left.
    """

    def __init__(self, options: PlayOptions, pace: Pace, listeners: list[Listener]) -> None:
        self._pace = pace
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="replay")
        self._future = self._executor.submit(play, options, pace, listeners)

    def __enter__(self) -> "Playing":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pace.stop()
        self._executor.shutdown()

    @property
    def under_way(self) -> bool:
        """Return whether the replay still runs; False, too, once it has failed."""
        return not self._future.done()

    def result(self) -> Played:
        """Wait for the end of the replay, and return its outcome or raise the error that ended it."""
        return self._future.result()
