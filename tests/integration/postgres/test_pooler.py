"""PgBouncer in front of PostgreSQL: it refuses the startup parameter by which timeouts are set, and shares sessions."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.loop.records.advisory_lock import advisory_lock
from autoops.settings import Settings
from autoops.storage import database
from autoops.storage.predictions import Label, LogSelection, PredictionLog
from tests.conftest import stored_at
from tests.unit.test_predictions import NOW, row

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_REFUSED = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


@pytest.fixture
def pooled(pg_settings: Settings) -> Iterator[Settings]:
    """Settings by which the database is reached through something that refuses `options` as PgBouncer does."""
    url = sa.make_url(str(pg_settings.storage.url))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, (url.host, url.port)), daemon=True).start()
        through = url.set(port=listener.getsockname()[1])
        yield stored_at(pg_settings, through.render_as_string(hide_password=False), timeout_s=1)


def _serve(listener: socket.socket, server: tuple[str | None, int | None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_handle, args=(client, server), daemon=True).start()


def _handle(client: socket.socket, server: tuple[str | None, int | None]) -> None:
    with client, contextlib.suppress(OSError):
        while True:
            startup = client.recv(65536)
            if len(startup) < 8 or struct.unpack("!I", startup[4:8])[0] not in (_SSL_REQUEST, _GSS_REQUEST):
                break
            client.sendall(b"N")
        if b"\0options\0" in startup:
            client.sendall(b"E" + struct.pack("!I", len(_REFUSED) + 4) + _REFUSED)
            return
        with socket.create_connection(server) as upstream:
            upstream.sendall(startup)
            threading.Thread(target=_pump, args=(upstream, client), daemon=True).start()
            _pump(client, upstream)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)


def test_the_log_works_through_a_pooler(pooled: Settings) -> None:
    """More statements of a kind than psycopg sends before it prepares them on the server."""
    engine = database.connect(pooled)
    database.upgrade(engine)
    log = PredictionLog(engine)
    for n in range(10):
        log.append([row(n, request_id=f"ride-{n}")])
        log.attach([Label(n, prediction_id=row(n).id)], NOW)
    assert log.append([row(99, request_id="ride-1")]) == [row(1, request_id="ride-1")]
    assert [one.target for one in log.latest_labelled(LogSelection(1), 20)] == list(range(10))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0
    with advisory_lock(engine, "gate", wait_s=5):
        pass
    engine.dispose()


def test_a_locked_table_is_waited_for_as_long_as_the_settings_say_through_a_pooler(pooled: Settings) -> None:
    engine, other = database.connect(pooled), database.connect(pooled)
    database.upgrade(engine)
    with other.begin() as holder:
        holder.execute(sa.text("LOCK TABLE predictions"))
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            PredictionLog(engine).append([row(1)])
    engine.dispose()
    other.dispose()
