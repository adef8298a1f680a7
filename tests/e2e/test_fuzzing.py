"""Every route of the OpenAPI document, asked with whatever its schemas allow and with what they do not.

The requests are made by schemathesis, seeded, so that a failure comes again. Half of what they name is there: rooms,
messages and people made for the test, or no request would come further than a 404. Every answer must be one
that the document has, and must come: no 500, which the document has too, no other status, no other body, no hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.matching import Route
from gateway.api.table import ROUTES
from tests.e2e.conftest import end
from tests.support.livekit_served import serve_livekit
from tests.support.platform import Person, Platform, read
from tests.support.process import Gateway

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 20  # for each route and credential
HANG_S = 10.0
FUZZ = settings(
    max_examples=EXAMPLES,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

MESSAGES = ("messageId", "parentMessageId", "lastReadMessageId", "lastDeliveredMessageId")
CREDENTIALS = {"key": ("key",), "session": ("session",), "either": ("key", "session")}
SETTINGS = {"chat": {"media": {"enabled": True, "allowedMimeTypes": ["*/*"]}}, "calls": {"enabled": True}}
FILE: dict[str, Any] = {"filename": "cat.png", "mediaType": "image/png", "sizeBytes": 1}
USERS = ("userId", "senderId", "viewerId", "participantId", "actorUserId")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serve_livekit() as media:
        calls = {"url": media.url, "api_key": media.fake.key, "api_secret": media.fake.secret}
        gateway = Gateway(tmp_path_factory.mktemp("fuzzed") / "data", settings={"livekit": calls})
        gateway.start()
        yield gateway
        end(gateway)


@pytest.fixture(scope="module")
def platform(gateway: Gateway) -> Iterator[Platform]:
    """A tenant whose settings and apps may become anything."""
    platform = Platform(gateway.url, gateway.create_tenant("fuzzed").api_key)
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> Any:
    config = SchemathesisConfig()
    config.projects.default.generation.update(with_security_parameters=False)
    raw = requests.get(f"{gateway.url}/openapi.json", timeout=HANG_S).json()
    return schemathesis.openapi.from_dict(raw, config=config)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def upload(person: Person, *, completed: bool) -> str:
    """The id of a file of one byte that has come."""
    promise = read(person.rest.post("/chat/uploads/presign", FILE), dict[str, Any])
    sent = person.rest.http.put(
        promise["uploadUrl"], content=b"x", headers={"content-type": FILE["mediaType"]}
    )
    assert sent.is_success, sent.text
    upload_id: str = promise["uploadId"]
    if completed:
        assert person.rest.post(f"/chat/uploads/{upload_id}/complete", {}).is_success
    return upload_id


class Place:
    """A room of Ann's and Bob's with something said in it.

    Attributes:
        known: what is there, by the names that requests have for it.
        credentials: the headers of the backend, and of Ann, an operator.
    """

    def __init__(self, platform: Platform) -> None:
        ann, bob = platform.person("ann"), platform.person("bob")
        room, other = platform.room(ann, bob), platform.room(ann)
        # Other tests of this file may have changed them.
        assert platform.rest.request("PATCH", "/tenant/settings", SETTINGS).is_success
        messages = [person.send(room.id, "hello").id for person in (ann, bob, ann, bob)]
        files = [upload(ann, completed=False), upload(ann, completed=True)]
        rooms, users = [room.id, room.id, room.id, other.id], [ann.id, ann.id, ann.id, bob.id]
        self.known = {
            **dict.fromkeys(("roomId", "targetRoomIds"), rooms),
            **dict.fromkeys(MESSAGES, messages),
            **dict.fromkeys(USERS, users),
            **dict.fromkeys(("uploadId", "uploadIds"), files),
            "callId": [read(ann.rest.post(f"/chat/rooms/{room.id}/calls", {}), dict[str, Any])["call"]["id"]],
        }
        self.credentials = {
            "key": {"x-api-key": platform.api_key},
            "session": {"authorization": f"Bearer {ann.token}"},
            "nobody": {},
        }

    def name_real_things(
        self, case: schemathesis.Case[Any], draw: Callable[[SearchStrategy[Any]], Any]
    ) -> None:
        """Put what is there in most of the places that name something."""
        for values in (case.path_parameters, case.query, case.body):
            if isinstance(values, dict):
                for name in self.known.keys() & values.keys():
                    if draw(st.integers(0, 3)):
                        real = draw(st.sampled_from(self.known[name]))
                        values[name] = [real] if isinstance(values[name], list) else real


def rows() -> Iterator[Any]:
    for row in ROUTES:
        for credential in CREDENTIALS.get(row.who, ("nobody",)):
            yield pytest.param(row, credential, id=f"{row.method} {row.path} by {credential}")


@pytest.mark.parametrize(("row", "credential"), list(rows()))
def test_a_route_answers_whatever_it_is_asked_as_the_document_says(
    row: Route, credential: str, platform: Platform, document: Any, session: requests.Session
) -> None:
    place = Place(platform)
    operation = document[row.path][row.method]
    cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if row.body is not None or row.query is not None:
        cases |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @seed(1)
    @FUZZ
    @given(case=cases, data=st.data())
    def ask(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        place.name_real_things(case, data.draw)
        answer = case.call(
            base_url=platform.url, session=session, headers=place.credentials[credential], timeout=HANG_S
        )
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=CHECKS)

    ask()
