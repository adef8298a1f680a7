"""Statements to PostgreSQL wait only for those whose results somebody looks at."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from gateway.store.connection import rows
from gateway.store.postgresql import pipeline
from gateway.store.postgresql.session import Session, connect
from tests.support.cuts import Road, road_to
from tests.support.postgresql import Server


@pytest.fixture
def road(postgresql: Server) -> Iterator[Road]:
    with road_to(postgresql.folder) as road:
        yield road


@pytest.fixture
def session(postgresql: Server, road: Road) -> Iterator[Session]:
    with postgresql.bare_database() as url:
        session = connect(url.replace(str(postgresql.folder), str(road.folder)))
        session.script("CREATE TABLE notes (number BIGINT PRIMARY KEY, text TEXT)")
        yield session
        session.close()


SYNC = b"S\0\0\0\4"
WRITE = "INSERT INTO notes VALUES (?, ?)"
ALL = "SELECT number, text FROM notes ORDER BY number"


def test_what_nobody_looks_at_goes_along_with_the_next_question(session: Session, road: Road) -> None:
    session.script("BEGIN")
    road.carried.clear()
    for number in range(20):
        session.execute(WRITE, (number, "a"))
    assert road.carried == []

    assert len(rows(session, ALL)) == 20
    assert len(road.carried) == 1
    session.execute("UPDATE notes SET text = 'b' WHERE number < ?", (3,))
    session.commit()
    assert len(road.carried) == 2


def test_much_is_sent_in_whole_questions_so_that_the_server_never_waits_for_the_rest(
    session: Session, road: Road
) -> None:
    session.script("BEGIN")
    road.carried.clear()
    session.executemany(WRITE, [(number, "x" * 1_000) for number in range(30)])

    assert session.changes() == 30
    assert b"".join(road.carried).count(SYNC) >= 30_000 // 8_192
    assert all(data.endswith(SYNC) for data in road.carried)


def test_more_than_the_network_takes_at_once_arrives(session: Session) -> None:
    session.script("BEGIN")
    large = "x" * 300_000
    session.executemany(WRITE, [(number, large) for number in range(10)])

    assert rows(session, ALL) == [(number, large) for number in range(10)]


def test_a_failure_is_told_at_the_next_question_and_spoils_the_transaction(session: Session) -> None:
    session.script("BEGIN")
    session.execute(WRITE, (1, "a"))
    session.execute(WRITE, (1, "again"))
    session.execute(WRITE, (2, "b"))

    with pytest.raises(psycopg.errors.UniqueViolation):
        rows(session, ALL)
    assert session.is_spoilt
    session.roll_back()
    assert not session.is_spoilt
    assert rows(session, ALL) == []


def test_a_commit_of_what_had_failed_is_none(session: Session) -> None:
    session.script("BEGIN")
    session.execute(WRITE, (1, "a"))
    session.execute(WRITE, (1, "again"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.settle()

    with pytest.raises(psycopg.InternalError):
        session.commit()
    assert rows(session, ALL) == []


def test_a_statement_that_could_not_be_prepared_is_prepared_when_it_can_be(session: Session) -> None:
    session.script("BEGIN")
    session.execute("SELECT 1 / ?", (0,))
    session.execute(ALL)
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.settle()
    session.roll_back()

    assert rows(session, ALL) == []


def test_more_statements_than_are_kept_prepared_are_run_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PREPARED", 5)
    for number in range(12):
        assert rows(session, f"SELECT {number} + ?", (1,)) == [(number + 1,)]

    (kept,) = rows(session, "SELECT count(*) FROM pg_prepared_statements")
    assert kept[0] <= 5


def test_questions_outside_of_a_transaction_are_one_each(session: Session) -> None:
    session.execute(WRITE, (1, "a"))
    session.settle()
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.execute(WRITE, (1, "again")).settle()

    assert rows(session, ALL) == [(1, "a")]
