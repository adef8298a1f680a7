"""An index of the words of messages, which each database has in its own way (``store/sqlite/full_text.py`` and
``store/postgresql/full_text.py`` say how they work).

Everything there is waits to be indexed, as if it had just been sent.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _for_sqlite()
    else:
        _for_postgresql()
    op.execute("INSERT INTO search_changes (room_id, seq) SELECT room_id, seq FROM messages ORDER BY id")


def _for_sqlite() -> None:
    # No content, positions or columns: all that is asked is which messages of a room have a word. The tokenizer
    # splits at spaces; words were made before.
    op.execute(
        """
        CREATE VIRTUAL TABLE search_index USING fts5(
            words, content='', contentless_delete=1, detail='none', tokenize="ascii tokenchars ':'"
        )
        """
    )
    op.execute(
        """
        CREATE TABLE search_rooms (
            number INTEGER PRIMARY KEY,
            room_id TEXT NOT NULL UNIQUE REFERENCES rooms (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE search_changes (number INTEGER PRIMARY KEY, room_id TEXT NOT NULL, seq BIGINT NOT NULL)
        """
    )
    op.execute(
        """
        CREATE TRIGGER search_message_sent AFTER INSERT ON messages BEGIN
            INSERT INTO search_changes (room_id, seq) VALUES (new.room_id, new.seq);
        END
        """
    )
    op.execute(
        """
        CREATE TRIGGER search_message_changed AFTER UPDATE OF parts ON messages BEGIN
            INSERT INTO search_changes (room_id, seq) VALUES (new.room_id, new.seq);
        END
        """
    )


def _for_postgresql() -> None:
    op.execute(
        """
        CREATE TABLE search_index (
            room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            seq BIGINT NOT NULL,
            words TSVECTOR NOT NULL,
            PRIMARY KEY (room_id, seq)
        )
        """
    )
    op.execute("CREATE INDEX search_index_by_word ON search_index USING gin (words)")
    op.execute(
        """
        CREATE TABLE search_rooms (
            number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            room_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES rooms (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE search_changes (
            number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            room_id TEXT COLLATE "C" NOT NULL,
            seq BIGINT NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE FUNCTION search_note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO search_changes (room_id, seq) VALUES (new.room_id, new.seq);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER search_message_noted AFTER INSERT OR UPDATE OF parts ON messages
        FOR EACH ROW EXECUTE FUNCTION search_note()
        """
    )
