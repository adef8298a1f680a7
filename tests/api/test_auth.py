from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import jwt
import msgspec
import pytest

from gateway.api.auth import VERDICT_S, Authenticator, Caller
from gateway.api.revocations import Revocations
from gateway.delivery.bus_memory import Exchange
from gateway.delivery.peers import Peers
from gateway.errors import Unauthorized
from gateway.wire.http import Request
from tests.api.conftest import Client, Gateway


async def token_of(gateway: Gateway, user_id: str = "ann") -> str:
    client = await gateway.user(user_id)
    return client.headers["authorization"].removeprefix("Bearer ")


async def signed(gateway: Gateway, *, kid: str | None = None, alg: str = "HS256", **changes: Any) -> str:
    """A token of our making, good but for ``changes``; a claim of None is left out."""
    tenant, now = await gateway.tenant(), int(gateway.clock())
    claims = {"sub": "ann", "tid": tenant.id, "jti": "j", "iat": now, "exp": now + 60, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    headers = {} if kid == "" else {"kid": kid or tenant.id}
    return jwt.PyJWS().encode(
        msgspec.json.encode(claims), "" if alg == "none" else tenant.signing_secret, alg, headers=headers
    )


async def test_a_minted_token_names_its_user_its_tenant_and_its_end(gateway: Gateway) -> None:
    caller = await gateway.authenticator.verify(await token_of(gateway))
    assert (caller.tenant.id, caller.user_id, caller.is_server) == (gateway.tenant_id, "ann", False)
    assert caller.expires_at == gateway.clock() + 3_600
    assert caller.jti


async def test_two_tokens_of_one_user_differ_in_their_jti(gateway: Gateway) -> None:
    first = await gateway.authenticator.verify(await token_of(gateway))
    second = await gateway.authenticator.verify(await token_of(gateway))
    assert first.jti != second.jti


async def test_any_jwt_library_can_read_a_token(gateway: Gateway) -> None:
    token, tenant = await token_of(gateway), await gateway.tenant()
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, tenant.signing_secret, algorithms=["HS256"], options=options)
    assert {"sub", "tid", "iat", "exp", "jti"} <= claims.keys()
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": tenant.id, "typ": "JWT"}


async def test_a_token_made_by_hand_is_good(gateway: Gateway) -> None:
    assert (await gateway.authenticator.verify(await signed(gateway))).user_id == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS512"},
        {"kid": ""},
        {"kid": "another-tenant"},
        {"tid": "another-tenant"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"jti": None},
        {"jti": ""},
        {"iat": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": 1_800_000_006},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_that_is_not_just_so_is_refused(gateway: Gateway, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(await signed(gateway, **changes))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.é.é", "sk_live_0", "x" * 100_000, "e30.e30.", "bnVsbA.e30.e30"]
)
async def test_garbage_is_refused(gateway: Gateway, token: str) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(token)


async def signed_under(gateway: Gateway, header: str) -> str:
    """A token of our making, good but for its first segment, which is signed as it stands."""
    _, payload, _ = (await signed(gateway)).split(".")
    secret = (await gateway.tenant()).signing_secret
    mac = hmac.digest(secret, f"{header}.{payload}".encode(), "sha256")
    return f"{header}.{payload}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def header_with(gateway: Gateway, rest: str) -> str:
    return f'{{"kid":"{gateway.tenant_id}","alg":"HS256"{rest}'


def segment(header: str) -> str:
    return urlsafe_b64encode(header.encode()).decode().rstrip("=")


async def test_whatever_else_a_header_says_a_token_is_good(gateway: Gateway) -> None:
    header = header_with(gateway, ',"typ":"at+jwt","n":[1,{"é":null}]}')
    assert (await gateway.authenticator.verify(await signed_under(gateway, segment(header)))).user_id == "ann"


@pytest.mark.parametrize(
    "rest",
    ['"crit":["x"]', '"crit":["b64"],"b64":false', '"alg":null', '"kid":7', '"kid":null', '"n":', '"n":['],
)
async def test_a_signature_does_not_mend_a_header(gateway: Gateway, rest: str) -> None:
    header = header_with(gateway, f",{rest}}}")
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(await signed_under(gateway, segment(header)))


@pytest.mark.parametrize("junk", ["!", "\n", " ", "===", "é"])
async def test_a_signature_does_not_mend_what_is_not_base64(gateway: Gateway, junk: str) -> None:
    header = segment(header_with(gateway, "}"))
    for mangled in (header[:8] + junk + header[8:], header + junk):
        with pytest.raises(Unauthorized, match="not valid"):
            await gateway.authenticator.verify(await signed_under(gateway, mangled))


async def test_a_header_of_endless_depth_is_refused(gateway: Gateway) -> None:
    header = header_with(gateway, ',"n":' + "[" * 4_000)
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(await signed_under(gateway, segment(header)))


async def test_a_changed_signature_or_payload_is_refused(gateway: Gateway) -> None:
    head, payload, signature = (await token_of(gateway)).split(".")
    _, other_payload, _ = (await token_of(gateway, "bob")).split(".")
    for forged in (f"{head}.{other_payload}.{signature}", f"{head}.{payload}.{signature[::-1]}"):
        with pytest.raises(Unauthorized, match="not valid"):
            await gateway.authenticator.verify(forged)


async def test_another_tenants_secret_signs_nothing_here(gateway: Gateway) -> None:
    stranger = await gateway.user("ann", of=gateway.other)
    token = stranger.headers["authorization"].removeprefix("Bearer ")
    caller = await gateway.authenticator.verify(token)
    assert caller.tenant.id != gateway.tenant_id
    forged = jwt.PyJWS().encode(
        msgspec.json.encode({"sub": "ann", "tid": gateway.tenant_id, "jti": "j", "iat": 0, "exp": 2**40}),
        caller.tenant.signing_secret,
        "HS256",
        headers={"kid": gateway.tenant_id},
    )
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(forged)


async def test_a_clock_five_seconds_ahead_may_have_issued_it(gateway: Gateway) -> None:
    token = await signed(gateway, iat=int(gateway.clock()) + 5)
    assert (await gateway.authenticator.verify(token)).user_id == "ann"


async def test_a_token_ends_to_the_second_whether_it_was_seen_before_or_not(gateway: Gateway) -> None:
    seen, unseen = await token_of(gateway), await token_of(gateway)
    gateway.clock.now += 3_599.9
    await gateway.authenticator.verify(seen)
    gateway.clock.now += 0.1
    for token in (seen, unseen):
        with pytest.raises(Unauthorized, match="expired"):
            await gateway.authenticator.verify(token)


async def test_a_remembered_token_brings_the_tenant_as_it_is_now(gateway: Gateway) -> None:
    token = await token_of(gateway)
    before = await gateway.authenticator.verify(token)
    assert await gateway.authenticator.verify(token) is before
    await gateway.store.update_tenant(gateway.tenant_id, settings=lambda _: {"calls": {"enabled": False}})
    gateway.clock.now += 1
    after = await gateway.authenticator.verify(token)
    assert after.tenant.settings == {"calls": {"enabled": False}}
    assert (after.jti, after.expires_at) == (before.jti, before.expires_at)


async def test_an_unchanged_tenant_leaves_remembered_tokens_as_they_are(gateway: Gateway) -> None:
    token = await token_of(gateway)
    before = await gateway.authenticator.verify(token)
    gateway.clock.now += 10
    assert await gateway.authenticator.verify(token) is before


@pytest.mark.parametrize(
    "database", ["sqlite"], indirect=True
)  # which one can write to beside its owner in a line
async def test_a_remembered_token_dies_with_the_secret_that_signed_it(
    gateway: Gateway, database: Path
) -> None:
    token = await token_of(gateway)
    await gateway.authenticator.verify(token)
    with closing(apsw.Connection(str(database))) as beside:
        beside.execute("UPDATE tenants SET signing_secret = randomblob(32)")
    gateway.clock.now += 1
    with pytest.raises(Unauthorized, match="not valid"):
        await gateway.authenticator.verify(token)


async def test_a_rotated_api_key_is_dead_within_a_second_and_at_once_where_it_was_rotated(
    gateway: Gateway,
) -> None:
    assert (await gateway.server.get("/tenant/settings")).status == 200
    await gateway.store.rotate_keys(gateway.tenant_id)
    gateway.clock.now += 1
    assert (await gateway.server.get("/tenant/settings")).status == 401

    fresh = await gateway.store.rotate_keys(gateway.tenant_id)
    server = Client(gateway.api, headers={"x-api-key": fresh.api_key})
    assert (await server.get("/tenant/settings")).status == 200
    await gateway.store.rotate_keys(gateway.tenant_id)
    gateway.authenticator.forget_tenant(gateway.tenant_id)
    assert (await server.get("/tenant/settings")).status == 401


async def test_a_good_key_goes_before_a_token_and_a_bad_one_does_not_spoil_it(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    identify = gateway.authenticator.identify
    both = Request("GET", "/", headers={**gateway.server.headers, **ann.headers})
    assert (await identify(both)).is_server
    stale = Request("GET", "/", headers={"x-api-key": "sk_live_0", **ann.headers})
    assert (await identify(stale)).user_id == "ann"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_as_http_reads_it(gateway: Gateway, scheme: str) -> None:
    request = Request("GET", "/", headers={"authorization": f"{scheme} {await token_of(gateway)}"})
    assert (await gateway.authenticator.identify(request)).user_id == "ann"


async def test_what_is_remembered_is_bounded(gateway: Gateway) -> None:
    peers = Peers(bus=Exchange().node(), lease_s=5)
    authenticator = Authenticator(
        store=gateway.store,
        peers=peers,
        revocations=Revocations(store=gateway.store, peers=peers),
        clock=gateway.clock,
        remembered=3,
    )
    for number in range(10):
        await authenticator.verify(await signed(gateway, jti=f"j{number}"))
    assert len(authenticator._verified) == 3


async def test_tokens_that_nobody_shows_any_more_make_way_before_there_are_many(gateway: Gateway) -> None:
    authenticator = gateway.authenticator
    for number in range(10):
        await authenticator.verify(await signed(gateway, jti=f"old{number}"))
    gateway.clock.now += VERDICT_S
    kept = [await signed(gateway, jti=f"new{number}") for number in range(5)]
    for token in kept:
        await authenticator.verify(token)
    assert list(authenticator._verified) == kept


async def test_a_caller_can_be_logged(gateway: Gateway) -> None:
    tenant = await gateway.tenant()
    shown = repr(Caller(tenant=tenant, user_id="ann", jti="j", token="secret-token"))
    assert "ann" in shown
    assert "secret-token" not in shown
    assert repr(tenant.signing_secret) not in shown
