"""Versions of the gateway next to that of the work tree: the one before, and one that may come."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.store.migrate import MIGRATIONS, head
from tests.support.process import GATEWAY, ROOT, Program

PACKAGES = ("gateway", "signaling")
REVISIONS = MIGRATIONS.relative_to(ROOT) / "versions"


@dataclass(frozen=True)
class Upgrade:
    """From a version to the next.

    Attributes:
        programs: makes both in an empty folder, if need be: the earlier and the later one.
    """

    name: str
    programs: Callable[[Path], tuple[Program, Program]]

    def __str__(self) -> str:
        return self.name


def upgrades() -> list[Upgrade]:
    """Those that can be made here: the version before needs the history of the sources."""
    found = [Upgrade("to a version that may come", lambda folder: (GATEWAY, later(folder)))]
    if commit := before_the_newest_revision():
        found.append(Upgrade(f"from {commit[:7]}", lambda folder: (earlier(commit, folder), GATEWAY)))
    return found


def before_the_newest_revision() -> str | None:
    """The last commit whose schema is the one before; None without the history of the sources."""
    (newest,) = (ROOT / REVISIONS).glob(f"r{head()}_*.py")
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(newest))
    if added is None:
        return None
    # A revision that has not been committed is newer than all that was.
    commit = _git("rev-parse", "--verify", f"{added.strip()}^" if added else "HEAD")
    return commit and commit.strip()


def earlier(commit: str, folder: Path) -> Program:
    """The gateway as it was."""
    packed = subprocess.run(
        ["git", "archive", commit, *PACKAGES], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as sources:
        sources.extractall(folder, filter="data")
    return Program(GATEWAY.command, folder)


def later(folder: Path) -> Program:
    """The gateway of the work tree with one revision more, and with more to say to the other nodes."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    number = f"{int(head()) + 1:04}"
    (folder / REVISIONS / f"r{number}_importance.py").write_text(
        REVISION.format(revision=number, down_revision=head())
    )
    with (folder / "gateway" / "delivery" / "bus_sealed.py").open("a") as source:
        source.write(SAYING_MORE)
    return Program(GATEWAY.command, folder)


REVISION = '''
"""Messages have an importance, and rooms are counted by it (PostgreSQL only)."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{revision}", "{down_revision}"


def upgrade() -> None:
    op.add_column("messages", sa.Column("importance", sa.Integer(), nullable=True))
    op.create_table(
        "importances",
        sa.Column("room_id", sa.Text(), sa.ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("messages", sa.BigInteger(), nullable=False),
    )
    op.execute(
        """
        CREATE FUNCTION importance_given() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            new.importance := COALESCE(new.importance, 1);
            INSERT INTO importances (room_id, messages) VALUES (new.room_id, 1)
            ON CONFLICT (room_id) DO UPDATE SET messages = importances.messages + 1;
            RETURN new;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER importance_of_message BEFORE INSERT ON messages
        FOR EACH ROW EXECUTE FUNCTION importance_given()
        """
    )
'''

SAYING_MORE = """

_encode_today = encode_item


def encode_item(item: object) -> bytes:
    return _encode_today((*item, {"importance": 1}))
"""


def _git(*arguments: str) -> str | None:
    """What it prints; None when it fails, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
