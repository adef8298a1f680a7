"""One node, built by hand: the only file that may import everything. ``serving.py`` opens what it stands on and runs it.

::

    Node.run
    ├─ wheel · multiplexer · workers      time, sockets, handlers that wait
    ├─ bus · following · peers · gossip   the other nodes
    ├─ presence · typing · sockets · revocations
    ├─ calls · livekit                    rings, and the media server
    └─ search · uploads                   what follows the store
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import trio

from gateway.api.answers import failure
from gateway.api.auth import Authenticator
from gateway.api.minting import Minter
from gateway.api.openapi import openapi_document
from gateway.api.revocations import Revocations
from gateway.api.routes import Api
from gateway.api.services import Services
from gateway.api.socket import ChatSockets
from gateway.blobs.opening import open_blobs
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
from gateway.chat.shared_limits import SharedLimits
from gateway.chat.tenants import Tenants
from gateway.chat.typing import Typing
from gateway.chat.uploads import Uploads
from gateway.chat.users import Users
from gateway.config import Config
from gateway.config import LiveKit as LiveKitSection
from gateway.delivery.bus import Bus
from gateway.delivery.devices import OtherDevices
from gateway.delivery.fanout import Fanout
from gateway.delivery.following import Following
from gateway.delivery.gossip import Gossip
from gateway.delivery.grace import STORM, Grace
from gateway.delivery.hub import Hub
from gateway.delivery.peers import Peers
from gateway.delivery.presence import Policy, Presence
from gateway.delivery.recovery import Recovery
from gateway.delivery.sweeping import run_sweep
from gateway.delivery.timers import Wheel
from gateway.errors import ConfigError
from gateway.net.asgi import Web
from gateway.net.door import Door
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings
from gateway.net.leaving import send_away
from gateway.net.mailboxes import Workers
from gateway.net.multiplexer import Multiplexer
from gateway.net.native import load_native
from gateway.net.polling import EngineEndpoint
from gateway.net.ports import Endpoint
from gateway.net.relay import Relay
from gateway.net.socketio import SocketIO, SocketSettings
from gateway.net.websocket import WebSockets
from gateway.records import now_ms
from gateway.store.ports import Store
from gateway.web import metrics
from gateway.web.files import PREFIX as FILES
from gateway.web.site import create_web
from gateway.wire.http import Request, Response
from signaling.switchboard import Switchboard

if TYPE_CHECKING:
    from signaling.livekit.media import LiveKit

SOCKET_PATH = "/socket.io/"
FRAGMENTS = 1_024
"""Most frames of one WebSocket message. Real clients send one."""

ATTACHMENTS = 8
"""Most binary attachments of a packet that are read before the packet is refused."""


class Node:
    """One gateway process, built by hand and not yet running.

    Attributes: everything that something outside (``serve``, tests) looks at.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        bus: Bus,
        url: str,
        file_key: bytes,
        address: tuple[str, int] | None = None,
    ) -> None:
        """
        Args:
            bus: to the other nodes; not yet running.
            address: where this node takes connections of the others; None where there are none.
            url: where we listen, for clients that are told no better.
            file_key: signs the URLs of files.
        """
        self.config = config
        self.store = store
        self.wheel = Wheel()
        self._native = load_native() if config.native else None
        self.hub = Hub(native=self._native)
        self.bus = bus
        self.workers = Workers()
        self._links = Links(key=file_key, public_url=config.public_url, access_s=config.uploads.access_s)
        self.fanout = Fanout(
            hub=self.hub, bus=self.bus, shown=partial(self._links.shown, origin=url), native=self._native
        )
        self.following = Following(hub=self.hub, order=self.fanout.order, bus=bus, log=store)
        self.recovery = Recovery(log=store, fanout=self.fanout, most_events=config.recovery.events)
        self.peers = Peers(bus=self.bus, lease_s=config.presence.lease_s, address=address)
        grace = Grace(wheel=self.wheel, seconds=config.presence.grace_s, in_storm=self._in_storm)
        self.gossip = Gossip(peers=self.peers, grace=grace)
        self._rosters = Rosters(store=store, peers=self.peers)
        self._limiter = Limiter(config.limits)
        self._shared_limits = SharedLimits(limiter=self._limiter, peers=self.peers)
        self._revocations = Revocations(store=store, peers=self.peers)
        self._authenticator = Authenticator(store=store, peers=self.peers, revocations=self._revocations)
        self._tenants = Tenants(
            store=store, presence=config.presence, changed=self._authenticator.forget_tenant
        )
        self.presence = Presence(
            hub=self.hub,
            fanout=self.fanout,
            gossip=self.gossip,
            wheel=self.wheel,
            contacts=store,
            policy_of=self._policy_of,
            grace=grace,
        )
        self._typing = Typing(fanout=self.fanout, gossip=self.gossip, hub=self.hub, rosters=self._rosters)
        self.livekit = _livekit(config.livekit)
        self.switchboard = Switchboard(
            store=store,
            announce=CallAnnouncer(fanout=self.fanout, devices=OtherDevices(hub=self.hub, nodes=self.peers)),
            media=self.livekit,
            limiter=self._limiter,
            clock=now_ms,
        )
        self._sockets = ChatSockets(
            authenticator=self._authenticator,
            revocations=self._revocations,
            rosters=self._rosters,
            limiter=self._limiter,
            hub=self.hub,
            peers=self.peers,
            presence=self.presence,
            typing=self._typing,
            fanout=self.fanout,
            following=self.following,
            recovery=self.recovery,
            calls=self.switchboard.calls,
            wheel=self.wheel,
        )
        self._search = Search(store=store, limiter=self._limiter)
        blobs, staging = open_blobs(config.uploads, data=config.data)
        self._uploads = Uploads(
            store=store,
            blobs=blobs,
            staging=staging,
            links=self._links,
            limiter=self._limiter,
            settings=config.uploads,
        )
        self.api = Api(self._services())
        self.multiplexer = Multiplexer(
            wheel=self.wheel,
            close_s=config.socket.close_s,
            native=self._native,
            expecting=store.is_writing,
        )
        self._socket_settings = SocketSettings(
            connect_s=config.socket.connect_s, inbox=config.socket.inbox, max_attachments=ATTACHMENTS
        )
        self.sessions = EngineSessions(
            settings=self._engine_settings(),
            wheel=self.wheel,
            accept=self._accept,
            node_id="" if address is None else bus.node_id,
        )
        self._endpoint = Relay(
            EngineEndpoint(self.sessions),
            node_id=self.sessions.node_id,
            address_of=self.peers.address_of,
            answer_s=(config.socket.ping_interval_ms + config.socket.ping_timeout_ms) / 1000,
        )
        self._endpoints = self._all_endpoints()
        self._leaving = False
        self.door = self._door()

    def _services(self) -> Services:
        store, config = self.store, self.config
        return Services(
            authenticator=self._authenticator,
            minter=Minter(store=store, tokens=config.tokens),
            revocations=self._revocations,
            users=Users(store=store),
            devices=Devices(store=store),
            apps=Apps(store=store),
            tenants=self._tenants,
            rooms=Rooms(store=store, rosters=self._rosters, sockets=self._sockets, limits=config.limits),
            participants=Participants(
                store=store,
                rosters=self._rosters,
                fanout=self.fanout,
                sockets=self._sockets,
                calls=self.switchboard.departures,
                limiter=self._limiter,
                limits=config.limits,
            ),
            messages=Messages(store=store, fanout=self.fanout, limiter=self._limiter),
            changes=Changes(store=store, fanout=self.fanout, limiter=self._limiter),
            receipts=Receipts(store=store, fanout=self.fanout),
            calls=self.switchboard.calls,
            search=self._search,
            uploads=self._uploads,
            links=self._links,
            livekit_hooks=None
            if self.livekit is None
            else self.livekit.follow(self.switchboard.upkeep, mine=self.peers.is_mine),
        )

    def _engine_settings(self) -> EngineSettings:
        settings = self.config.socket
        return EngineSettings(
            ping_interval_ms=settings.ping_interval_ms,
            ping_timeout_ms=settings.ping_timeout_ms,
            message_bytes=settings.message_bytes,
            outbox_bytes=settings.outbox_bytes,
        )

    def _all_endpoints(self) -> dict[str, Endpoint]:
        endpoints: dict[str, Endpoint] = {
            SOCKET_PATH: self._endpoint,
            SOCKET_PATH.rstrip("/"): self._endpoint,
        }
        if self.config.metrics_token is not None:
            endpoints[metrics.PATH] = metrics.Metrics(
                self.statistics,
                node_id=self.bus.node_id,
                token=self.config.metrics_token,
                failure=failure,
            )
        return endpoints

    def _door(self) -> Door:
        config = self.config
        return Door(
            route=self.api.begin,
            endpoints=self._endpoints,
            websockets=WebSockets(
                multiplexer=self.multiplexer,
                wheel=self.wheel,
                message_bytes=config.socket.message_bytes,
                fragments=FRAGMENTS,
                close_s=config.socket.close_s,
                write_s=config.http.write_s,
                deflate=config.socket.permessage_deflate,
            ),
            web=Web(
                create_web(
                    api=self._answer,
                    ready=self._ready,
                    openapi=lambda: openapi_document(
                        version=version("gateway"), server_url=config.public_url
                    ),
                    failure=failure,
                    files=self._uploads,
                    max_body=config.http.body_bytes,
                    body_s=config.http.body_s,
                    write_s=config.http.write_s,
                    put_s=config.uploads.put_s,
                ),
                http=config.http,
                streamed=FILES,
            ),
            http=config.http,
            wheel=self.wheel,
            endpoint_bytes=config.socket.message_bytes,
            receive=self.multiplexer.receive,
        )

    def _accept(self, engine: EngineSession) -> SocketIO:
        return SocketIO(
            engine,
            application=self._sockets,
            settings=self._socket_settings,
            wheel=self.wheel,
            workers=self.workers,
        )

    async def _answer(self, request: Request) -> Response:
        """The API and the endpoints for requests that Quart holds."""
        endpoint = self._endpoints.get(request.path)
        return await (self.api.route(request) if endpoint is None else endpoint.handle(request))

    def _in_storm(self) -> bool:
        """Whether very many clients are on their way in: they wait at the port, or have not yet said who they are."""
        return self.door.is_crowded or self.sessions.count - self.hub.count > STORM

    async def _policy_of(self, tenant_id: str) -> Policy:
        tenant = await self._authenticator.tenant(tenant_id)
        if tenant is None:
            return Policy(self.config.presence.scope, self.config.presence.tenant_limit)
        settings = self._tenants.settings(tenant).presence
        return Policy(settings.scope, settings.tenant_limit)

    async def _ready(self) -> dict[str, bool]:
        return {"store": await self.store.is_writable(), "staying": not self._leaving}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Everything that runs beside the connections, for ever."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.multiplexer.run)
            await nursery.start(self.workers.run)
            nursery.start_soon(self.wheel.run)
            nursery.start_soon(self.door.run)
            await nursery.start(self.bus.run)
            nursery.start_soon(self.following.run)
            nursery.start_soon(self.peers.run)
            nursery.start_soon(self.gossip.run)
            nursery.start_soon(self.presence.run)
            nursery.start_soon(self._typing.run)
            nursery.start_soon(self._sockets.run)
            nursery.start_soon(self.switchboard.run)
            if self.livekit is not None:
                nursery.start_soon(self.livekit.run)
            nursery.start_soon(self._endpoint.run)
            nursery.start_soon(self._revocations.run)
            nursery.start_soon(self._shared_limits.run)
            nursery.start_soon(self._search.run)
            nursery.start_soon(self._uploads.run)
            nursery.start_soon(partial(run_sweep, self.store, keep_s=self.config.recovery.keep_s))
            if self.config.bus != "memory":
                await self.peers.wait_acquainted()
            task_status.started()

    async def say_goodbye(self, *, over_s: float) -> None:
        """Tell every client to go, evenly over a time; they come back by themselves, to whoever listens then.

        Requests are answered meanwhile, each as the last on its connection.
        """
        self._leaving = True
        self.door.retire()
        await send_away(self.sessions, over_s=over_s)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Everybody's counters, by name."""
        return {
            "bus": self.bus.statistics(),
            "following": self.following.statistics(),
            "door": self.door.statistics(),
            "hub": self.hub.statistics(),
            "livekit": self.livekit.statistics() if self.livekit is not None else {},
            "multiplexer": self.multiplexer.statistics(),
            "peers": self.peers.statistics(),
            "presence": self.presence.statistics(),
            "recovery": self.recovery.statistics(),
            "relay": self._endpoint.statistics(),
            "sessions": self.sessions.statistics(),
            "store": self.store.statistics(),
            "workers": self.workers.statistics(),
        }


def _livekit(settings: LiveKitSection) -> LiveKit | None:
    """The media server, where one is configured."""
    if settings.url is None or settings.api_key is None or settings.api_secret is None:
        return None
    try:
        # Here, since loading it takes a quarter of a second, and needs the extra.
        from signaling.livekit.media import LiveKit
        from signaling.livekit.settings import LiveKitSettings
    except ImportError as error:
        raise ConfigError(f'livekit.url needs the extra "livekit", which lacks {error.name}') from error
    return LiveKit(
        LiveKitSettings(
            url=settings.url,
            public_url=settings.public_url or settings.url,
            api_key=settings.api_key,
            api_secret=settings.api_secret,
        )
    )
