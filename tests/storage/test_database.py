"""The two promises of `Database`, and how its engines are set up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

import tuner.storage.database as database_module
from tuner.errors import DatabaseUnavailable, InvalidInput
from tuner.storage.database import Database, now, sqlite_path

only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def scalar(database: Database, statement: str) -> object:
    found: object = database.read(lambda connection: connection.execute(text(statement)).scalar())
    return found


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("tuner.db", "is no database URL"),
        ("", "is no database URL"),
        ("mysql://localhost/tuner", "not with mysql"),
        ("sqlite://", "is a file"),
        ("sqlite:///:memory:", "is a file"),
    ],
)
def test_a_url_that_names_no_database_of_ours_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"database_url: .*{reason}"):
        Database(url)


def test_a_database_s_name_does_not_tell_its_password() -> None:
    database = Database("postgresql://someone:secret@localhost/tuner")
    assert "secret" not in database.name
    assert "someone" in database.name


def test_the_file_of_an_sqlite_url_is_known() -> None:
    assert sqlite_path("sqlite:////data/tuner.db") == Path("/data/tuner.db")
    assert sqlite_path("postgresql://localhost/tuner") is None


def test_an_unreachable_server_is_an_error_of_ours() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/tuner")
    with pytest.raises(DatabaseUnavailable, match="connection failed") as caught:
        scalar(database, "SELECT 1")
    assert "secret" not in str(caught.value)


def test_an_sqlite_file_in_no_directory_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        scalar(Database(f"sqlite:///{tmp_path}/absent/tuner.db"), "SELECT 1")


def test_a_file_that_is_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("no database, " * 500)
    with (
        closing(Database(f"sqlite:///{tmp_path / 'notes.db'}")) as database,
        pytest.raises(DatabaseUnavailable, match="not a database"),
    ):
        database.read(now)


def test_the_database_s_clock_is_aware_and_right(database: Database) -> None:
    before = datetime.now(UTC)
    moment = database.read(now)
    assert moment.tzinfo is UTC
    assert before - timedelta(seconds=1) < moment < datetime.now(UTC) + timedelta(seconds=1)


def test_what_failed_half_way_left_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id integer)"))
        raise KeyError("half way")

    with pytest.raises(KeyError):
        database.write(work)
    database.write(lambda connection: connection.execute(text("CREATE TABLE half (id integer)")))


def test_a_read_sees_one_snapshot_whatever_is_written_meanwhile(database: Database) -> None:
    database.write(lambda connection: connection.execute(text("CREATE TABLE numbers (id integer)")))

    def count(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM numbers")).scalar_one())

    def read(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        writer = threading.Thread(
            target=database.write, args=(lambda other: other.execute(text("INSERT INTO numbers VALUES (1)")),)
        )
        writer.start()
        writer.join()
        return before, count(connection)

    assert database.read(read) == (0, 0)
    assert database.read(count) == 1


@only_postgresql
def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match="read-only transaction"):
        database.read(lambda connection: connection.execute(text("CREATE TABLE sneaked_in (id integer)")))


@only_sqlite
def test_sqlite_is_set_up_to_lose_nothing(database: Database) -> None:
    assert scalar(database, "PRAGMA journal_mode") == "wal"
    assert scalar(database, "PRAGMA synchronous") == 2  # FULL
    assert scalar(database, "PRAGMA foreign_keys") == 1
    assert scalar(database, "PRAGMA busy_timeout") == database_module.LOCK_SECONDS * 1000


@only_sqlite
@pytest.mark.skipif(find_spec("pysqlite3") is None, reason="there is no packaged SQLite on this platform")
def test_sqlite_is_one_whose_write_ahead_log_is_sound(database: Database) -> None:
    version = str(scalar(database, "SELECT sqlite_version()"))
    assert tuple(int(part) for part in version.split(".")) >= (3, 51, 3)


class WriteLock:
    """Another connection to the same SQLite file, which holds the write lock until it is released."""

    def __init__(self, path: Path) -> None:
        # The same library as the engine's: locks of one process do not show between two copies of SQLite.
        sqlite = database_module.sqlite_module()
        self._connection = sqlite.connect(str(path), isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN IMMEDIATE")
        self.held = True

    def release(self) -> None:
        self.held = False
        self._connection.close()


@pytest.fixture
def lock(database_url: str) -> Iterator[WriteLock]:
    path = sqlite_path(database_url)
    assert path is not None
    lock = WriteLock(path)
    yield lock
    lock.release()


def create_table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE numbers (id integer)"))


@only_sqlite
def test_a_writer_waits_for_the_lock_that_another_holds(database: Database, lock: WriteLock) -> None:
    release = threading.Timer(0.2, lock.release)
    release.start()
    database.write(create_table)
    assert not lock.held
    release.join()


@only_sqlite
def test_writers_that_read_first_queue_up_and_none_is_turned_back(database: Database) -> None:
    database.write(create_table)
    database.write(lambda connection: connection.execute(text("INSERT INTO numbers VALUES (0)")))
    together = threading.Barrier(4, timeout=60)
    tries: list[int] = []

    def count_up(connection: Connection) -> None:
        tries.append(1)
        found = connection.execute(text("SELECT id FROM numbers")).scalar_one()
        connection.execute(text("UPDATE numbers SET id = :id"), {"id": found + 1})

    def run() -> None:
        together.wait()
        for _ in range(10):
            database.write(count_up)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scalar(database, "SELECT id FROM numbers") == len(tries) == 40


@only_sqlite
def test_readers_do_not_wait_for_a_writer(database: Database, lock: WriteLock) -> None:
    assert scalar(database, "SELECT count(*) FROM tuner_study") == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], list[float]]:
    """What is passed runs in place of each pause before a transaction is tried again. The pauses are listed."""

    def install(meanwhile: Callable[[], None]) -> list[float]:
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            meanwhile()

        monkeypatch.setattr(time, "sleep", pause)
        return pauses

    return install


@only_sqlite
def test_a_locked_database_is_tried_again(
    database_url: str, lock: WriteLock, impatient: Callable[[Callable[[], None]], list[float]]
) -> None:
    pauses = impatient(lock.release)
    with closing(Database(database_url, lock_seconds=0)) as database:
        database.write(create_table)
        assert len(pauses) == 1
        assert scalar(database, "SELECT count(*) FROM numbers") == 0


@only_sqlite
def test_a_lock_without_end_is_an_error_of_ours(
    database_url: str, lock: WriteLock, impatient: Callable[[Callable[[], None]], list[float]]
) -> None:
    pauses = impatient(lambda: None)
    with (
        closing(Database(database_url, lock_seconds=0)) as database,
        pytest.raises(DatabaseUnavailable, match="locked"),
    ):
        database.write(create_table)
    assert len(pauses) == database_module.ATTEMPTS - 1
    assert pauses[-1] > pauses[0]


@only_postgresql
def test_a_server_s_lock_is_not_waited_for_for_ever(database: Database) -> None:
    def lock(connection: Connection) -> None:
        connection.execute(text("LOCK TABLE tuner_study"))

    def hold(connection: Connection) -> None:
        lock(connection)
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            hasty.write(lock)

    with closing(Database(database.url, lock_seconds=0.01)) as hasty:
        database.write(hold)


@only_postgresql
def test_a_deadlock_is_resolved_without_the_writers_noticing(database: Database) -> None:
    def prepare(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE accounts (id integer, balance integer)"))
        connection.execute(text("INSERT INTO accounts VALUES (1, 0), (2, 0)"))

    database.write(prepare)
    both_hold_one = threading.Barrier(2, timeout=60)
    tries = {1: 0, 2: 0}

    def transfer(first: int, second: int) -> None:
        def work(connection: Connection) -> None:
            tries[first] += 1
            connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            connection.execute(text("UPDATE accounts SET balance = balance + 1 WHERE id = :id"), {"id": first})
            if tries[first] == 1:
                both_hold_one.wait()
            connection.execute(text("UPDATE accounts SET balance = balance - 1 WHERE id = :id"), {"id": second})

        database.write(work)

    threads = [threading.Thread(target=transfer, args=pair) for pair in [(1, 2), (2, 1)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(tries.values()) == [1, 2]
    assert scalar(database, "SELECT max(abs(balance)) FROM accounts") == 0


@only_postgresql
def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    pid = scalar(database, "SELECT pg_backend_pid()")
    with closing(Database(database.url)) as killer:
        killer.write(lambda connection: connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
    assert scalar(database, "SELECT pg_backend_pid()") != pid
