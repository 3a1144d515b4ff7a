"""`autoops migrate` and what every API replica does at its start, on both databases."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from autoops.errors import Conflict, SettingsError, StorageUnavailable
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.settings import Settings
from autoops.storage import database, label_ids, raw_inputs, tables
from autoops.storage.instances import Instance, Instances
from autoops.storage.logged import owned
from autoops.storage.predictions import Label, LoggedPrediction, LogSelection, PredictionLog
from tests.conftest import stored_at
from tests.eventually import eventually
from tests.fakes import HeldClock
from tests.integration.postgres.conftest import Start, waiting
from tests.unit.test_predictions import row

MIGRATE_WHEN_TOLD = """
from autoops.storage import database
from autoops.settings import load_settings
engine = database.connect(load_settings())
engine.connect().close()
print("ready", flush=True)
input()
print(database.upgrade(engine)[0])
"""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def empty(each_settings: Settings) -> Iterator[sa.Engine]:
    """A database without any table of ours."""
    engine = database.connect(each_settings)
    yield engine
    engine.dispose()


def migrate_to(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def table_of(engine: sa.Engine, name: str) -> sa.TableClause:
    """With the columns that it has now."""
    return sa.table(name, *(sa.column(each["name"], each["type"]) for each in sa.inspect(engine).get_columns(name)))


def logged_before(engine: sa.Engine, rows: list[LoggedPrediction]) -> None:
    """As by a release of this schema, which knows no other columns."""
    table = table_of(engine, "predictions")
    values = [asdict(row) | dict(zip(raw_inputs.TYPED, row.inputs, strict=True)) for row in rows]
    for value in values:
        value |= {name: value[name].replace(tzinfo=None) for name in ("event_at", "predicted_at")}
    # `inputs` stands there while a log is prepared, and no process of that release fills it.
    known = [column.name for column in table.c if column.name not in ("inputs", "contract")]
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [{name: value[name] for name in known} for value in values])


def labelled_before(engine: sa.Engine, labels: list[Label]) -> None:
    """As by a release of this schema."""
    table = table_of(engine, "ground_truth")
    named = [{"prediction_id": label.prediction_id, "request_id": label.request_id} for label in labels]
    told = [{raw_inputs.OLD_TARGET: label.target, "labelled_at": MOMENT.replace(tzinfo=None)} for label in labels]
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [one | other for one, other in zip(named, told, strict=True)])


def test_it_says_from_where_to_where(empty: sa.Engine, start: Start) -> None:
    first, again = (json.loads(start("-m", "autoops.cli", "migrate", "--json").communicate()[0]) for _ in range(2))
    assert (first["before"], first["after"]) == (None, again["before"])
    assert again["before"] == again["after"]
    assert set(tables.metadata.tables) < set(sa.inspect(empty).get_table_names())


def test_what_stands_in_the_first_schema_is_kept(empty: sa.Engine) -> None:
    migrate_to(empty, "0001")
    logged = [row(n, request_id=f"ride-{n}") for n in range(50)]
    logged_before(empty, logged)
    with empty.begin() as connection:
        known = {"model_version": 3, "started_at": MOMENT, "seen_at": MOMENT}
        connection.execute(sa.insert(tables.instances).values(id="an-old-one", **known))

    before, after = database.upgrade(empty)
    assert before == "0001"
    assert after != "0001"
    assert PredictionLog(empty).latest(LogSelection(1), 100) == logged
    assert Instances(empty).serving(MOMENT) == [Instance("an-old-one", None, 3)]


def test_of_processes_that_migrate_at_once_one_does(empty: sa.Engine, start: Start) -> None:
    running = [start("-c", MIGRATE_WHEN_TOLD) for _ in range(6)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 6, ended
    newest = database.newest_revision()
    assert sorted(out for out, _ in ended) == [f"{newest}\n"] * 5 + ["None\n"]


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
def test_of_many_who_migrate_large_tables_at_once_one_prepares_and_leaves_nothing_behind(
    each_settings: Settings, empty: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate_to(empty, "0005")
    logged_before(empty, [row(n) for n in range(30)])
    labelled_before(empty, [Label(n, prediction_id=row(n).id) for n in range(30)])
    monkeypatch.setattr(label_ids, "ROWS_AT_ONCE", 20)

    def upgrade(_: int) -> tuple[str | None, str | None]:
        engine = database.connect(each_settings)
        try:
            return database.upgrade(engine)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(upgrade, range(4)))
    newest = database.newest_revision()
    assert sorted(done) == [("0005", newest), *[(newest, newest)] * 3]
    left = "SELECT count(*) FROM "
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        assert connection.scalar(sa.text(left + "pg_trigger WHERE NOT tgisinternal")) == 0
        assert connection.scalar(sa.text(left + "pg_index WHERE NOT indisvalid")) == 0
        assert connection.scalar(sa.text(left + "pg_locks WHERE locktype = 'advisory'")) == 0
    assert len(PredictionLog(empty).latest_labelled(LogSelection(1), 50)) == 30


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
def test_a_migration_that_is_under_way_is_waited_for_beyond_the_timeout(each_settings: Settings) -> None:
    """A replica that gave up would be restarted again and again while the tables of a long log are rewritten."""
    engine = database.connect(stored_at(each_settings, each_settings.database_url, timeout_s=0.05))
    with engine.connect() as other:
        other.execute(sa.select(sa.func.pg_advisory_lock(database.MIGRATING)))
        found: list[object] = []
        migrating = threading.Thread(target=lambda: found.append(database.upgrade(engine)))
        migrating.start()
        eventually(lambda: waiting(engine, "advisory", at_least_s=0.2) or not migrating.is_alive())
        assert found == []
        other.execute(sa.select(sa.func.pg_advisory_unlock(database.MIGRATING)))
        migrating.join()
    assert found == [(None, database.newest_revision())]
    engine.dispose()


def at_a_later_revision(engine: sa.Engine, readable_from: str | None) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        if readable_from is None:
            tables.schema_compatibility.drop(connection)
        else:
            connection.execute(sa.update(tables.schema_compatibility).values(readable_from=readable_from))


def test_a_later_schema_that_only_has_more_is_used_as_it_is(empty: sa.Engine) -> None:
    database.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("ALTER TABLE predictions ADD COLUMN variant VARCHAR(20)"))
    at_a_later_revision(empty, readable_from=str(database.newest_revision()))
    assert database.upgrade(empty) == ("9999", "9999")
    log = PredictionLog(empty)
    log.append([row(1, request_id="ride")])
    assert log.append([row(2, request_id="ride")]) == log.latest(LogSelection(1), 9) == [row(1, request_id="ride")]


@pytest.mark.parametrize("readable_from", ["9998", None], ids=["not readable", "without a word on it"])
def test_a_later_schema_that_is_not_for_this_release_is_refused(empty: sa.Engine, readable_from: str | None) -> None:
    database.upgrade(empty)
    at_a_later_revision(empty, readable_from)
    with pytest.raises(StorageUnavailable, match=f"revision 9999, and .* --to {database.newest_revision()}`"):
        database.upgrade(empty)


def schema_of(engine: sa.Engine) -> dict[str, list[str]]:
    found = sa.inspect(engine)
    return {table: sorted(column["name"] for column in found.get_columns(table)) for table in found.get_table_names()}


def test_going_back_to_the_release_before_keeps_all_rows(empty: sa.Engine, start: Start) -> None:
    migrate_to(empty, "0005")
    before = schema_of(empty)
    database.upgrade(empty)
    log, rows = PredictionLog(empty), [row(n, request_id=f"ride-{n}") for n in range(5)]
    log.append(rows)
    log.attach([Label(7.0, prediction_id=rows[0].id), Label(8.0, request_id="ride-1")], MOMENT)
    told = json.loads(start("-m", "autoops.cli", "migrate", "--to", "0005", "--json").communicate()[0])
    assert (told["before"], told["after"]) == (database.newest_revision(), "0005")
    assert schema_of(empty) == before
    assert database.downgrade(empty, "0005") == ("0005", "0005")
    with empty.connect() as connection:
        assert connection.execute(sa.text("SELECT id FROM predictions ORDER BY id")).all() == [(r.id,) for r in rows]
    database.upgrade(empty)
    assert log.latest(LogSelection(1), 9) == rows
    assert [one.target for one in log.latest_labelled(LogSelection(1), 9)] == [7.0, 8.0]


def test_going_back_gives_the_ids_of_keys_back_as_clients_sent_them(empty: sa.Engine) -> None:
    """So that the release before joins their labels. Where two keys used one id, the first keeps it."""
    database.upgrade(empty)
    log = PredictionLog(empty)
    log.append([replace(row(n, request_id=owned("ride", key)), key=key) for n, key in ((1, "shop"), (2, "other"))])
    log.append([row(3, request_id="plain"), replace(row(4, request_id=owned("plain", "shop")), key="shop")])
    labels = [("ride", "shop"), ("ride", "other"), ("later", "shop")]
    log.attach([Label(n, request_id=owned(name, key)) for n, (name, key) in enumerate(labels)], MOMENT)
    database.downgrade(empty, "0005")
    with empty.connect() as connection:
        ids = connection.execute(sa.text("SELECT request_id FROM predictions ORDER BY id")).scalars().all()
        named = connection.execute(sa.text("SELECT request_id FROM ground_truth ORDER BY id")).scalars().all()
    assert ids == ["ride", owned("ride", "other"), "plain", owned("plain", "shop")]
    assert named == ["ride", owned("ride", "other"), "later"]


@pytest.mark.parametrize("revision", ["0004", "0099"])
def test_nobody_goes_back_so_far_that_rows_are_lost_nor_to_what_never_was(empty: sa.Engine, revision: str) -> None:
    database.upgrade(empty)
    with pytest.raises(SettingsError, match=f"expected one of 0005, 0006.*got {revision}"):
        database.downgrade(empty, revision)
    at_a_later_revision(empty, readable_from="0005")
    with pytest.raises(SettingsError, match="none that this installation knows"):
        database.downgrade(empty, "0005")


LAST_OF_32_BITS = 2**31 - 1


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
@pytest.mark.parametrize("large", [True, False], ids=["in batches", "at once"])
def test_label_ids_go_on_beyond_32_bits(empty: sa.Engine, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are many labels, one that comes while they are copied is among them."""
    migrate_to(empty, "0005")
    log = PredictionLog(empty)
    logged_before(empty, [row(n, request_id=f"ride-{n}") for n in range(30)])
    with empty.begin() as connection:
        connection.execute(sa.text(f"SELECT setval('ground_truth_id_seq', {LAST_OF_32_BITS - 26})"))
    labelled_before(empty, [Label(n, prediction_id=row(n).id) for n in range(25)])
    if large:
        monkeypatch.setattr(label_ids, "ROWS_AT_ONCE", 20)
        monkeypatch.setattr(label_ids, "_BATCH", 7)
        label_ids.prepare(empty)
        labelled_before(empty, [Label(25, prediction_id=row(25).id)])
        label_ids.prepare(empty)  # as after an interruption
    else:
        labelled_before(empty, [Label(25, prediction_id=row(25).id)])
    database.upgrade(empty)
    log.attach([Label(n, request_id=f"ride-{n}") for n in range(26, 30)], MOMENT)
    found = log.latest_labelled(LogSelection(1), 50)
    assert [one.target for one in found] == list(range(30))
    assert [one.label_id for one in found] == list(range(LAST_OF_32_BITS - 25, LAST_OF_32_BITS + 5))
    assert log.latest_labelled(LogSelection(1), 50, after=LAST_OF_32_BITS + 1) == found[-3:]
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    CheckLog(empty, HeldClock()).append(
        model_version=1,
        verdict="no drift",
        alarm=False,
        reason="",
        report={},
        last_label_id=LAST_OF_32_BITS + 4,
        event_from=None,
        event_until=None,
        last_prediction_id=None,
    )


def typed_rows(many: int) -> list[LoggedPrediction]:
    """Trips whose distances and predictions need 17 digits, some with the id of a client and its key."""
    draw = np.random.default_rng(3)
    distances, predictions = draw.gamma(2, 1.3, many).tolist(), draw.uniform(1, 60, many).tolist()
    assert sum(len(repr(distance)) > 17 for distance in distances) > many / 3
    rows = []
    for n, (distance, prediction) in enumerate(zip(distances, predictions, strict=True)):
        key = "shop" if n % 5 == 0 else None
        request_id = owned(f"ride-{n}", key) if n % 3 else None
        inputs = (round(distance) + 1.0 if n % 7 == 0 else distance, n % 10, 1 + n % 265, 265 - n % 265)
        rows.append(replace(row(n, request_id=request_id), key=key, inputs=inputs, prediction=prediction))
    return rows


def typed_values(engine: sa.Engine) -> list[tuple[object, ...]]:
    """As the release before reads them."""
    table = table_of(engine, "predictions")
    columns = [table.c[name] for name in ("id", "request_id", *raw_inputs.TYPED, "prediction", "key")]
    with engine.connect() as connection:
        return [tuple(one) for one in connection.execute(sa.select(*columns).order_by(table.c.id))]


def prune(engine: sa.Engine, rows: list[LoggedPrediction]) -> None:
    table = table_of(engine, "predictions")
    with engine.begin() as connection:
        connection.execute(sa.delete(table).where(table.c.id.in_([row.id for row in rows])))


def interrupt(engine: sa.Engine, batches: int) -> None:
    """Begin to prepare, and have the process end after so many batches."""

    def end(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        nonlocal batches
        if statement.startswith(("INSERT INTO predictions_next", "UPDATE predictions SET inputs")):
            batches -= 1
            if batches < 0:
                raise KeyboardInterrupt

    sa.event.listen(engine, "before_cursor_execute", end)
    with pytest.raises(KeyboardInterrupt):
        raw_inputs.prepare(engine)
    sa.event.remove(engine, "before_cursor_execute", end)


def converted(engine: sa.Engine) -> int:
    """How many rows have been prepared."""
    where = "predictions_next" if engine.dialect.name == "sqlite" else "predictions WHERE inputs IS NOT NULL"
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(f"SELECT count(*) FROM {where}")) or 0)


@pytest.mark.parametrize("interrupted", [False, True], ids=["at once", "interrupted"])
def test_a_log_of_typed_columns_becomes_one_of_any_use_case_and_goes_back(
    empty: sa.Engine, interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come and go while it is prepared, by a process of the release before, are there and gone."""
    migrate_to(empty, "0009")
    before = schema_of(empty)
    rows = typed_rows(3_000)
    late, first, meanwhile, last = rows[5:2_000:200], rows[:2_400], rows[2_400:2_700], rows[2_700:]
    # A request of a row that was pruned comes again.
    last[0] = replace(last[0], request_id=rows[1].request_id)
    labels = [Label(11.123456789012345, prediction_id=rows[1_500].id), Label(0.1, request_id=rows[1_501].request_id)]
    pruned = [*rows[:400], *rows[1_900:2_000], rows[2_500]]
    if interrupted:
        monkeypatch.setattr(raw_inputs, "_BATCH", 700)
        logged_before(empty, [one for one in first if one not in late])
        interrupt(empty, batches=2)
        assert converted(empty) == 1_400
        logged_before(empty, meanwhile)
        prune(empty, rows[10:200])
        raw_inputs.prepare(empty)
        assert converted(empty) == len(first) + len(meanwhile) - len(late) - 190
        logged_before(empty, late)
        prune(empty, pruned)
        logged_before(empty, last)
        raw_inputs.prepare(empty)
    else:
        logged_before(empty, [*first, *meanwhile])
        prune(empty, pruned)
        logged_before(empty, last)
    labelled_before(empty, labels)
    expected = [one for one in [*first, *meanwhile, *last] if one not in pruned]
    assert (len(expected), expected[0]) == (3_000 - len(pruned), rows[400])

    assert database.upgrade(empty) == ("0009", database.newest_revision())
    log = PredictionLog(empty)
    assert log.latest(LogSelection(1), 9_999) == expected
    assert all(type(one.inputs) is tuple for one in log.latest(LogSelection(1), 9_999))
    assert [(one.logged, one.target) for one in log.latest_labelled(LogSelection(1), 9)] == [
        (rows[1_500], 11.123456789012345),
        (rows[1_501], 0.1),
    ]
    assert log.append([replace(row(9_000, request_id=rows[1_501].request_id), key=rows[1_501].key)]) == [rows[1_501]]
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        if empty.dialect.name == "postgresql":
            assert connection.scalar(sa.text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")) == 0
            assert connection.scalar(sa.text("SELECT to_regproc('predictions_inputs')")) is None
            assert connection.scalar(sa.text("SELECT count(*) FROM pg_constraint WHERE conname = 'inputs_filled'")) == 0

    assert database.downgrade(empty, "0009") == (database.newest_revision(), "0009")
    assert schema_of(empty) == before
    assert typed_values(empty) == [(r.id, r.request_id, *r.inputs, r.prediction, r.key) for r in expected]
    assert database.upgrade(empty) == ("0009", database.newest_revision())
    assert log.latest(LogSelection(1), 9_999) == expected


def test_a_log_of_another_use_case_does_not_go_back_to_a_release_that_knows_none(empty: sa.Engine) -> None:
    database.upgrade(empty)
    log, other = PredictionLog(empty), replace(row(2), inputs=(1.5, "a", None), contract="0123456789abcdef")
    log.append([row(1), other])
    with pytest.raises(SettingsError, match="--to: 1 predictions are of another use case"):
        database.downgrade(empty, "0009")
    assert log.latest(LogSelection(1), 9) == [row(1), other]


def test_kinds_get_the_words_of_the_field_and_their_old_ones_back(empty: sa.Engine) -> None:
    migrate_to(empty, "0010")
    opened = {"opened_at": MOMENT.replace(tzinfo=None), "reason": "-", "status": "open"}
    keyed = {"refresh": "refresh of version 1 with 2022-06", "second look": "second look 2 of version 3", "drift": None}
    rows = [{"kind": kind, "key": key} | opened for kind, key in keyed.items()]
    noted = {"at": MOMENT.replace(tzinfo=None), "actor": "test", "reason": "-", "evidence": {}}
    with empty.begin() as connection:
        connection.execute(sa.insert(tables.incidents), rows)
        kinds = ("second look begun", "regret watch over", "gate")
        connection.execute(sa.insert(tables.ledger), [{"kind": kind} | noted for kind in kinds])
    before = database.upgrade(empty)[0]
    ledger = Ledger(empty, HeldClock(MOMENT))
    assert [one.kind for one in ledger.incidents()] == ["drift", "re-evaluation", "scheduled"]
    assert [one.kind for one in ledger.entries()] == ["re-evaluation begun", "post-promotion check over", "gate"]
    with pytest.raises(Conflict):
        ledger.open_incident("scheduled", "again", actor="test", key="scheduled of version 1 with 2022-06")
    database.downgrade(empty, before or "")
    with empty.connect() as connection:
        assert dict(connection.execute(sa.text("SELECT kind, key FROM incidents")).all()) == keyed
