"""The ``gateway`` command: serve, and what an operator does beside a running server or without one.

Results go to stdout, and nothing else does; errors are one line on stderr. Exit codes: 0, 1 for what went
wrong, 2 for a command line that cannot be understood.
"""

from __future__ import annotations

import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import apsw
import msgspec
import trio
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console

from gateway.config import Config
from gateway.errors import ConfigError, GatewayError, InvalidRequest, NotFound
from gateway.records import Tenant, iso
from gateway.settings import load
from gateway.store.ports import Revocation, TenantCounts, TenantKeys
from gateway.telemetry import configure_logging

if TYPE_CHECKING:
    from gateway.serving import Started
    from gateway.store.ports import Store

T = TypeVar("T")

NAME_CHARACTERS = 80


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the settings and the data are.

    Args:
        data: Folder of the database.
        config: Configuration file (TOML).
    """

    data: Path | None = None
    config: Path | None = None

    def settings(self, **flags: object) -> Config:
        config = load(file=self.config, environ=os.environ, flags={"data": self.data, **flags})
        configure_logging(config.log)
        return config


Json = Annotated[bool, Parameter(negative="", show_default=False, help="Print one JSON value, for scripts.")]
HERE = Where()


def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    workers: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    lifeline: Annotated[int | None, Parameter(show=False)] = None,
    where: Where = HERE,
) -> None:
    """Run the gateway until SIGTERM or SIGINT.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        workers: Processes that share the port, one for each core; more than one need Redis and PostgreSQL.
        lifeline: Given by the parent of several workers to each of them.
    """
    config = where.settings(host=host, port=port)
    try:
        if workers > 1:
            _serve_with_workers(config, workers, where=where)
        else:
            from gateway.serving import serve as run  # the whole server, which no other command needs

            trio.run(partial(run, config, started=announce, lifeline=lifeline))
    except ssl.SSLError as error:
        raise ConfigError(f"tls.certificate and tls.key cannot be used: {error.reason or error}") from error


def _serve_with_workers(config: Config, count: int, *, where: Where) -> None:
    """Serve by several processes, which find their settings as this one did."""
    if config.bus == "memory" or config.database_url is None:
        raise ConfigError('--workers: several processes need bus = "redis" and a database_url between them')
    if config.node.port:
        raise ConfigError("--workers: node.port must be 0, since each process needs one of its own")
    from gateway.workers import serve_with_workers

    arguments = ["--host", config.host]
    for flag, value in (("--config", where.config), ("--data", where.data)):
        if value is not None:
            arguments += [flag, str(value)]
    serve_with_workers(
        arguments,
        count=count,
        host=config.host,
        port=config.port,
        drain_s=config.drain_s,
        say=partial(print, flush=True),
    )


def announce(started: Started) -> None:
    """Say what an operator needs to know, once it is true. Flushed: scripts wait for these lines on a pipe."""
    if started.first_tenant is not None:
        print(first_steps(started.url, started.first_tenant))
    print(f"data in {started.data.resolve()}")
    print(f"listening on {started.url}", flush=True)


def first_steps(url: str, keys: TenantKeys) -> str:
    """The keys of a new tenant, with commands that can be pasted as they are."""

    def curl(path: str, body: str) -> str:
        return (
            f"  curl -X POST {url}{path} -H 'x-api-key: {keys.api_key}'"
            f" -H 'content-type: application/json' -d '{body}'"
        )

    return "\n".join(
        [
            "This is the first start. A tenant was created; its keys are shown only now:",
            "",
            f"  tenant          {keys.id}",
            f"  API key         {keys.api_key}",
            f"  webhook secret  {keys.webhook_secret}",
            "",
            "A user, a token for the user's app, and a room:",
            "",
            curl("/v1/users", '{"id": "ann", "username": "Ann"}'),
            curl("/v1/auth/token", '{"userId": "ann"}'),
            curl("/v1/chat/rooms", '{"externalId": "first-room", "participants": [{"id": "ann"}]}'),
            "",
        ]
    )


def create_tenant(name: str, /, *, json: Json = False, where: Where = HERE) -> None:
    """Create a tenant and print its keys, which cannot be shown again.

    Args:
        name: What to call it.
    """
    name = tenant_name(name)
    show_keys(with_store(where.settings(), lambda store: store.create_tenant(name)), json=json)


def list_tenants(*, json: Json = False, where: Where = HERE) -> None:
    """List the tenants, oldest first, without their secrets."""
    found = with_store(where.settings(), lambda store: store.tenants())
    if json:
        rows = [{"id": tenant.id, "name": tenant.name, "createdAt": tenant.created_at} for tenant in found]
        show_json(rows)
        return
    for tenant in found:
        print(f"{tenant.id}  {tenant.created_at}  {tenant.name}")


def show_tenant(tenant: str, /, *, json: Json = False, where: Where = HERE) -> None:
    """Show a tenant without its secrets: how much it has, and which settings it has made.

    Args:
        tenant: Its id or name.
    """

    async def look(store: Store) -> tuple[Tenant, TenantCounts, list[str]]:
        found = pick(await store.tenants(), tenant)
        apps = [app.app_code for app in await store.apps(found.id)]
        return found, await store.tenant_counts(found.id), apps

    found, counts, apps = with_store(where.settings(), look)
    shown = {
        "id": found.id,
        "name": found.name,
        "createdAt": found.created_at,
        "webhookUrl": found.webhook_url,
        "apps": apps,
        "users": counts.users,
        "rooms": counts.rooms,
        "messages": counts.messages,
        "settings": found.settings,
    }
    if json:
        show_json(shown)
        return
    for label, value in shown.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        print(f"{label:<12}{text}")


def rename_tenant(tenant: str, name: str, /, *, where: Where = HERE) -> None:
    """Call a tenant something else; nothing that clients see depends on it.

    Args:
        tenant: Its id or name.
        name: What to call it.
    """
    name = tenant_name(name)

    async def rename(store: Store) -> str:
        found = pick(await store.tenants(), tenant)
        await store.rename_tenant(found.id, name)
        return found.id

    print(f"{with_store(where.settings(), rename)}  {name}")


def rotate_tenant_key(tenant: str, /, *, json: Json = False, where: Where = HERE) -> None:
    """Replace a tenant's API key and webhook secret; when this returns, the old ones are dead, session tokens stay good.

    Args:
        tenant: Its id or name.
    """

    from gateway.api.auth import TENANT_FRESH_S

    async def rotate(store: Store) -> TenantKeys:
        return await store.rotate_keys(pick(await store.tenants(), tenant).id)

    show_keys(with_store(where.settings(), rotate), json=json)
    # The old key may be a leaked one: whoever replaces it is to know when it has ended, on servers that nobody told too.
    sys.stdout.flush()
    time.sleep(TENANT_FRESH_S)


def revoke_sessions(tenant: str, /, *, user: str | None = None, where: Where = HERE) -> None:
    """Sign all users of a tenant out, or one: their session tokens end on every node within a second.

    They can sign in again at once.

    Args:
        tenant: Its id or name.
        user: The user's id; without it everybody's.
    """

    async def revoke(store: Store) -> Revocation:
        return await store.revoke(pick(await store.tenants(), tenant).id, user_id=user)

    revoked = with_store(where.settings(), revoke)
    print(f"{revoked.tenant_id}  {iso(revoked.revoked_at)}  {user or 'all users'}")


def token(
    *,
    user: str,
    tenant: str | None = None,
    expires_in: int | None = None,
    json: Json = False,
    where: Where = HERE,
) -> None:
    """Mint a session token for a user.

    Args:
        user: The user's id; the user must exist.
        tenant: The tenant's id or name; not needed while there is only one.
        expires_in: Life of the token in seconds.
    """
    from gateway.api.minting import Minter, Session

    config = where.settings()

    async def mint(store: Store) -> Session:
        picked = pick(await store.tenants(), tenant)
        if await store.user(picked.id, user) is None:
            raise NotFound(f"Tenant {picked.name} has no user {user}; create it by POST /v1/users.")
        return await Minter(store=store, tokens=config.tokens).mint(picked, user, expires_in_s=expires_in)

    session = with_store(config, mint)
    if json:
        show_json(session)
    else:
        print(session.token)


def migrate(*, where: Where = HERE) -> None:
    """Bring the database to the schema of this version; serving does that by itself."""
    from gateway.store.migrate import migrate as run

    config = where.settings()
    applied = run(config.database)
    name = (
        config.database if isinstance(config.database, Path) else "database_url"
    )  # there is a password in it
    print(f"{name}: {'applied ' + ', '.join(applied) if applied else 'up to date'}")


def tenant_name(text: str) -> str:
    """What a tenant may be called.

    Raises:
        InvalidRequest: not this.
    """
    if not 1 <= len(text.strip()) <= NAME_CHARACTERS:
        raise InvalidRequest(f"A tenant's name has 1 to {NAME_CHARACTERS} characters.")
    return text.strip()


def pick(found: Sequence[Tenant], named: str | None) -> Tenant:
    """The tenant of this id, or else of this name; the only one when nothing was said.

    Raises:
        NotFound: there is none, or more than one.
    """
    fitting = [tenant for tenant in found if named in (tenant.id, None)]
    fitting = fitting or [tenant for tenant in found if tenant.name == named]
    if len(fitting) == 1:
        return fitting[0]
    if named is None:
        raise NotFound("There is no tenant yet." if not found else "There are several tenants: say which.")
    raise NotFound(f"There {'are several tenants' if fitting else 'is no tenant'} {named}.")


def with_store(config: Config, use: Callable[[Store], Awaitable[T]]) -> T:
    """What ``use`` returns, with the store open; a server may be running on it."""
    from gateway.store.engine import open_store

    async def run() -> T:
        async with open_store(config.database, settings=config.store) as store:
            return await use(store)

    return trio.run(run)


def show_keys(keys: TenantKeys, *, json: bool) -> None:
    if json:
        show_json(keys)
        return
    print(f"tenant          {keys.id}\nAPI key         {keys.api_key}\nwebhook secret  {keys.webhook_secret}")


def show_json(value: object) -> None:
    print(msgspec.json.encode(value).decode())


def command_line() -> App:
    """The commands by their names."""
    tenants = App(
        name="tenant", help="Create, list, show and rename tenants, replace their keys, end their sessions."
    )
    tenants.command(create_tenant, name="create")
    tenants.command(list_tenants, name="list")
    tenants.command(show_tenant, name="show")
    tenants.command(rename_tenant, name="rename")
    tenants.command(rotate_tenant_key, name="rotate-key")
    tenants.command(revoke_sessions, name="revoke-sessions")
    app = App(
        name="gateway",
        help="A self-hosted realtime gateway: in-app chat beside a platform's own users and login.",
        version=version("gateway"),
        error_formatter=lambda error: f"gateway: {error}",
        error_console=Console(stderr=True, soft_wrap=True, highlight=False, markup=False),
    )
    app.command(serve)
    app.command(tenants)
    app.command(token)
    app.command(migrate)
    return app


def main() -> None:
    """Entry point: one line for what an operator can mend, a traceback only for a bug."""
    try:
        command_line()()
    except ConfigError as error:
        sys.exit(f"gateway: {error}")
    except GatewayError as error:
        sys.exit(f"gateway: {error.message}")
    except OSError as error:
        sys.exit(f"gateway: {error.filename}: {error.strerror}" if error.filename else f"gateway: {error}")
    except apsw.Error as error:
        sys.exit(f"gateway: the database cannot be used: {error}")


if __name__ == "__main__":
    main()
