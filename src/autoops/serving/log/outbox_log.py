"""The prediction log of an API process whose database is a server, which may be unavailable."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from autoops.clock import Clock
from autoops.errors import StorageUnavailable
from autoops.serving.log.forwarder import Forwarder
from autoops.serving.log.inbox import Inbox
from autoops.serving.log.outbox import OutboxFolder
from autoops.serving.metrics import Metrics
from autoops.settings import Settings
from autoops.storage.database import storage_errors
from autoops.storage.predictions import Label, LabelStatus, LoggedColumns, LoggedPrediction, PredictionLog, as_logged


def needs_outbox(log: PredictionLog) -> bool:
    """Return whether the database is a server.

    An outbox gains nothing on a SQLite database: both are files of this machine.
    """
    return log.engine.dialect.name != "sqlite"


class OutboxLog(PredictionLog):
    """Commits rows to this process's outbox, from which they are forwarded to the database.

    Predictions with a `request_id`, and labels, also wait until they are in the database. So a repeated request at
    another instance gets the first response, and a label is `attached` if the database has its prediction. While the
    database is unavailable, both hold for this instance's own requests only.
    """

    def __init__(self, log: PredictionLog, settings: Settings, clock: Clock) -> None:
        super().__init__(log.engine)
        self._clock = clock
        self._most = settings.serving.outbox_max_rows
        self._folder = OutboxFolder(outboxes(settings), settings.storage.timeout_s)
        self._inbox = Inbox(log.engine, clock)

    def start(self) -> None:
        """Open the outbox, and start to forward its rows.

        Raises:
            StorageUnavailable: the outbox cannot be opened.
        """
        self._held = self._folder.take()
        self._outbox = self._held.outbox
        self._forwarder = Forwarder(self._outbox, self._folder, self._inbox)
        self._forwarder.start()

    def stop(self) -> None:
        """Forward the waiting rows, or leave them to the process that takes the outbox next.

        No row may be appended any more.
        """
        # Its thread still uses inbox and outbox. The end of the process releases the lock.
        if not self._forwarder.stop():
            return
        self._inbox.close()
        if self._outbox.rows:
            self._held.release()
            return
        # Retired first: a failure in between leaves an empty outbox to be adopted, and not a position for ever.
        try:
            self._inbox.retire(self._outbox.id)
        except StorageUnavailable:
            self._held.release()
            return
        self._held.remove()

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Commit the rows unless the outbox is full; return the stored rows in order, earlier ones for repeats."""
        if not rows:
            return []
        self._make_sure_of_room(len(rows))
        # Read before the append, because the rows may be forwarded and replaced at once after it.
        replaced = self._outbox.replaced
        standing = self._outbox.append(rows)
        named = any(row.request_id is not None for row in standing)
        return self._outbox.standing(standing) if named and self._replaced_since(replaced) else standing

    def append_columns(self, columns: LoggedColumns) -> dict[int, LoggedPrediction]:
        """Commit the rows unless the outbox is full; return, by position, the earlier rows that replace some."""
        self._make_sure_of_room(len(columns))
        replaced = self._outbox.replaced
        others = self._outbox.append_columns(columns)
        named = any(request_id is not None for request_id in columns.request_id)
        if named and self._replaced_since(replaced):
            return columns.others(self._outbox.standing(columns.rows()))
        return others

    def _replaced_since(self, replaced: int) -> bool:
        """Wait until the rows are forwarded; return whether earlier rows of other instances replaced some of them."""
        return self._forwarder.deliver() and self._outbox.replaced > replaced

    def standing(self, request_ids: Sequence[str]) -> dict[str, LoggedPrediction]:
        """Return the logged rows of these requests by request_id; only this outbox's if the database is unavailable."""
        here = self._outbox.known_requests(request_ids)
        if self._forwarder.away:
            return here
        try:
            return super().standing(request_ids) | here
        except StorageUnavailable:
            return here

    def attach(self, labels: Sequence[Label], labelled_at: datetime) -> list[LabelStatus]:
        """Store all labels unless the outbox is full; return for each, in order, whether its prediction is known."""
        if not labels:
            return []
        self._make_sure_of_room(len(labels))
        self._outbox.put(labels, labelled_at)
        known = self._outbox.known(labels)
        if self._forwarder.deliver():
            known |= self._known_there(labels)
        return ["attached" if {label.prediction_id, label.request_id} & known else "pending" for label in labels]

    def _known_there(self, labels: Sequence[Label]) -> set[str | None]:
        try:
            with storage_errors(), self.engine.connect() as connection:
                logged = as_logged(connection, labels)
            known = self.known([one.prediction_id for one in logged], [one.request_id for one in logged])
        except StorageUnavailable:
            return set()
        # By the ids of `labels`: `as_logged` may have left out their API key.
        pairs = zip(labels, logged, strict=True)
        return known | {label.request_id for label, one in pairs if one.request_id in known}

    def _make_sure_of_room(self, rows: int) -> None:
        # An empty outbox takes any request: one that is larger than the limit would never fit.
        if self._outbox.rows and self._outbox.rows + rows > self._most:
            raise StorageUnavailable(f"outbox: {self._outbox.rows} rows wait for the database, and no more are taken")

    def watch(self, metrics: Metrics) -> None:
        """Add gauges that are read at each scrape: waiting rows, age of the oldest in seconds, database away."""
        waiting = "autoops_outbox_rows", "Rows that the database does not have yet"
        metrics.gauge(*waiting, lambda: self._outbox.rows)
        metrics.gauge("autoops_outbox_oldest_seconds", "Since when the oldest of them waits", self._oldest_s)
        away = "autoops_outbox_database_away", "1: the database did not take the last rows"
        metrics.gauge(*away, lambda: int(self._forwarder.away))

    def _oldest_s(self) -> float:
        since = self._outbox.waiting().since
        return 0.0 if since is None else (self._clock.now() - since).total_seconds()


def outboxes(settings: Settings) -> Path:
    """Return the folder with the outboxes of all processes that have this home."""
    return settings.storage.home / "outbox"
