"""A gateway's REST surface over a real store, without a server: requests in, answers out, events recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway.api.auth import Authenticator
from gateway.api.minting import Minter
from gateway.api.revocations import Revocations
from gateway.api.routes import Api
from gateway.api.services import Services
from gateway.blobs.folder import FolderBlobs
from gateway.blobs.staging import Staging
from gateway.chat.apps import Apps
from gateway.chat.calling import CallAnnouncer
from gateway.chat.changes import Changes
from gateway.chat.devices import Devices
from gateway.chat.limits import Limiter
from gateway.chat.links import Links
from gateway.chat.messages import Messages
from gateway.chat.participants import Participants
from gateway.chat.receipts import Receipts
from gateway.chat.rooms import Rooms, Rosters
from gateway.chat.search import Search
from gateway.chat.tenants import Tenants
from gateway.chat.uploads import Uploads
from gateway.chat.users import Users
from gateway.config import Limits, Presence, Rate, StoreSettings, Tokens
from gateway.config import Uploads as UploadSettings
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.peers import Peers
from gateway.records import LogEvent, Tenant
from gateway.store.engine import open_store
from gateway.store.ports import Store
from gateway.wire.http import Request
from signaling.livekit.hooks import Hooks
from signaling.switchboard import Switchboard
from tests.signaling.livekit.world import SETTINGS
from tests.signaling.memory import FakeMedia
from tests.support.postgresql import Server


class Told(msgspec.Struct, frozen=True):
    """One event that was handed to fan-out."""

    tenant_id: str
    user_ids: tuple[str, ...]
    event: str
    payload: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.payload)


class OtherDevices:
    """Remembers whose other devices were told what: (user id, the device that was not told, event)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def tell(self, tenant_id: str, user_id: str, jti: str, event: str, payload: bytes) -> None:
        self.told.append((user_id, jti, event))


class Recorder:
    """A fan-out that reaches nobody and remembers everything, and so it does with who is expelled.

    Attributes:
        expelled: (user id, room id), and how much had been told by then.
        introduced: (newcomers, everybody) of those who met in a room.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.expelled: list[tuple[str, str, int]] = []
        self.introduced: list[tuple[list[str], list[str]]] = []
        self.other_devices = OtherDevices()

    def expel(self, tenant_id: str, user_id: str, room_id: str) -> None:
        self.expelled.append((user_id, room_id, len(self.told)))

    def met(self, tenant_id: str, newcomers: Collection[str], everybody: Collection[str]) -> None:
        self.introduced.append((sorted(newcomers), sorted(everybody)))

    def tell(self, tenant_id: str, event: LogEvent) -> None:
        self.told.append(Told(tenant_id, event.user_ids, event.event, event.payload))

    def to_users(self, tenant_id: str, user_ids: Collection[str], event: str, payload: bytes) -> None:
        self.told.append(Told(tenant_id, tuple(user_ids), event, payload))


class Clock:
    """Wall clock and limiter's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def milliseconds(self) -> int:
        return round(self.now * 1000)


class Answer:
    """What came back, decoded."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Client:
    """Sends requests with one credential, or none."""

    def __init__(self, api: Api, *, headers: dict[str, str] | None = None, user_id: str = "") -> None:
        self._api = api
        self.headers = headers or {}
        self.user_id = user_id

    async def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        request = Request(
            method, f"/v1{path}", query=query, headers={**self.headers, **(headers or {})}, body=raw
        )
        response = await self._api.route(request)
        return Answer(response.status, response.body, dict(response.headers))

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.send("POST", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.send("DELETE", path, **options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.send("PATCH", path, body, **options)


class Gateway:
    """Two tenants behind one API.

    Attributes:
        server: the first tenant's backend, with its API key.
        other: the second tenant's backend.
        looked: the media rooms in which LiveKit's webhooks said that somebody had moved.
    """

    def __init__(self, api: Api, store: Store, authenticator: Authenticator, rosters: Rosters) -> None:
        self.api = api
        self.store = store
        self.authenticator = authenticator
        self.rosters = rosters
        self.fanout = Recorder()
        self.media = FakeMedia()
        self.switchboard: Switchboard
        self.looked: list[str] = []
        self.services: Services
        self.uploads: Uploads
        self.clock = Clock()
        self.nobody = Client(api)
        self.server = self.other = self.nobody
        self.tenant_id = ""

    async def user(self, user_id: str, *, of: Client | None = None) -> Client:
        """A client with a fresh session token of this user, who is made if need be."""
        server = of or self.server
        assert (await server.post("/users", {"id": user_id, "username": user_id.title()})).status == 200
        minted = await server.post("/auth/token", {"userId": user_id})
        headers = {"authorization": f"Bearer {minted.json['token']}"}
        return Client(self.api, headers=headers, user_id=user_id)

    async def room(self, *user_ids: str, **fields: Any) -> str:
        """A room with these users, made by the backend."""
        made = await self.server.post(
            "/chat/rooms", {"participants": [{"id": one} for one in user_ids], **fields}
        )
        assert made.status == 201, made.body
        room_id: str = made.json["id"]
        return room_id

    async def upload(
        self, client: Client, data: bytes = b"\x89PNG", *, complete: bool = True, **fields: Any
    ) -> str:
        """An image that this user has uploaded."""
        body = {"filename": "cat.png", "mediaType": "image/png", "sizeBytes": len(data), **fields}
        announced = await client.post("/chat/uploads/presign", body)
        assert announced.status == 201, announced.body
        upload_id: str = announced.json["uploadId"]
        await self.put(announced.json["uploadUrl"], data)
        if complete:
            assert (await client.post(f"/chat/uploads/{upload_id}/complete", {})).status == 200
        return upload_id

    async def put(self, url: str, *chunks: bytes, length: int | None = None) -> None:
        """Send the bytes of a file, as the web does with a PUT."""

        async def sent() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        async with aclosing(sent()) as pieces:
            await self.uploads.receive(
                path.removeprefix("/files/"),
                pieces,
                expires=query["expires"][0],
                signature=query["signature"][0],
                length=length,
            )

    async def tenant(self) -> Tenant:
        tenant = await self.store.tenant(self.tenant_id)
        assert tenant is not None
        return tenant


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where there is an empty database."""
    if request.param == "sqlite":
        yield tmp_path / "gateway.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
async def gateway(tmp_path: Path, database: Path | str) -> AsyncIterator[Gateway]:
    async with open_gateway(tmp_path, database=database) as opened:
        yield opened


@asynccontextmanager
async def open_gateway(
    directory: Path, *, database: Path | str | None = None, waiting_writes: int = 10_000
) -> AsyncIterator[Gateway]:
    """A gateway that keeps its files in this directory, and its database too unless one is given."""
    limits = Limits(send_message=Rate(per_s=1, burst=20), room_participants=50)
    clock, fanout = Clock(), Recorder()
    # A millisecond for every write, so that nothing falls into the same one and order is never a tie.
    milliseconds = count(1_800_000_000_000)
    async with open_store(
        database or directory / "gateway.db",
        settings=StoreSettings(synchronous="normal", waiting_writes=waiting_writes),
        clock=lambda: next(milliseconds),
    ) as store:
        peers = Peers(bus=Exchange().node(), lease_s=5)
        revocations = Revocations(store=store, peers=peers)
        authenticator = Authenticator(store=store, peers=peers, revocations=revocations, clock=clock)
        rosters = Rosters(store=store, peers=peers)
        limiter = Limiter(limits, clock=clock)
        links = Links(key=b"k" * 32, public_url=None, access_s=3_600, clock=clock)
        uploads = Uploads(
            store=store,
            blobs=FolderBlobs(directory / "uploads"),
            staging=Staging(directory / "arriving"),
            links=links,
            limiter=limiter,
            settings=UploadSettings(file_bytes=20_000_000),
        )
        media = FakeMedia()
        looked: list[str] = []
        switchboard = Switchboard(
            store=store,
            announce=CallAnnouncer(fanout=fanout, devices=fanout.other_devices),
            media=media,
            limiter=limiter,
            clock=clock.milliseconds,
        )
        services = Services(
            authenticator=authenticator,
            minter=Minter(store=store, tokens=Tokens(), clock=clock),
            revocations=revocations,
            users=Users(store=store),
            devices=Devices(store=store),
            apps=Apps(store=store),
            tenants=Tenants(store=store, presence=Presence(), changed=authenticator.forget_tenant),
            rooms=Rooms(store=store, rosters=rosters, sockets=fanout, limits=limits),
            participants=Participants(
                store=store,
                rosters=rosters,
                fanout=fanout,
                sockets=fanout,
                calls=switchboard.departures,
                limiter=limiter,
                limits=limits,
            ),
            messages=Messages(store=store, fanout=fanout, limiter=limiter),
            changes=Changes(store=store, fanout=fanout, limiter=limiter),
            receipts=Receipts(store=store, fanout=fanout),
            search=Search(store=store, limiter=limiter),
            calls=switchboard.calls,
            uploads=uploads,
            links=links,
            livekit_hooks=Hooks(SETTINGS, look_soon=looked.append),
        )
        made = Gateway(Api(services), store, authenticator, rosters)
        made.media, made.switchboard, made.looked = media, switchboard, looked
        made.services = services
        made.clock, made.fanout, made.uploads = clock, fanout, uploads
        keys, others = await store.create_tenant("first"), await store.create_tenant("second")
        made.tenant_id = keys.id
        made.server = Client(made.api, headers={"x-api-key": keys.api_key})
        made.other = Client(made.api, headers={"x-api-key": others.api_key})
        yield made
