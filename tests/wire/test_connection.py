"""The connection table: which Socket.IO packet may come when, and that nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.connection import NAMESPACES, Close, Connection, State
from gateway.wire.socketio import CONNECT, DISCONNECT, EVENT, Packet

HEADER = '51-["file",{"_placeholder":true,"num":0}]'


def connected(*namespaces: str) -> Connection:
    connection = Connection(max_attachments=2)
    for namespace in namespaces:
        assert connection.receive(f"0{namespace},") == Packet(CONNECT, namespace=namespace)
        assert connection.accepted(namespace)
    return connection


class TestConnect:
    def test_comes_first_and_waits_for_the_answer(self) -> None:
        connection = Connection(max_attachments=2)
        assert connection.receive('0{"token":"t"}') == Packet(CONNECT, {"token": "t"})
        assert connection.state("/") is State.CONNECTING
        assert connection.accepted("/")
        assert connection.state("/") is State.CONNECTED

    def test_after_a_refusal_the_client_may_try_again(self) -> None:
        connection = Connection(max_attachments=2)
        connection.receive("0")
        connection.refused("/")
        assert connection.receive("0") == Packet(CONNECT)

    @pytest.mark.parametrize("namespace", ["/", "/custom"])
    def test_a_second_one_ends_the_connection(self, namespace: str) -> None:
        assert connected(namespace).receive(f"0{namespace},") == Close("already_connected")

    def test_a_client_that_left_before_the_answer_gets_none(self) -> None:
        connection = Connection(max_attachments=2)
        connection.receive("0")
        assert connection.receive("1") == Packet(DISCONNECT)
        assert not connection.accepted("/")
        assert connection.state("/") is State.ABSENT

    def test_namespaces_are_bounded(self) -> None:
        connection = connected("/", *[f"/{number}" for number in range(NAMESPACES)])
        assert connection.receive("0/more,") == Close("too_many_namespaces")


class TestEvents:
    def test_on_a_connected_namespace_they_pass(self) -> None:
        connection = connected("/", "/custom")
        assert connection.receive('2["a",1]') == Packet(EVENT, ["a", 1])
        assert connection.receive('2/custom,7["a"]') == Packet(EVENT, ["a"], "/custom", 7)

    @pytest.mark.parametrize("text", ['2["a"]', "31[]", '2/custom,["a"]'])
    def test_before_connect_they_end_the_connection(self, text: str) -> None:
        assert Connection(max_attachments=2).receive(text) == Close("not_connected")

    @pytest.mark.parametrize("text", ['2["a"]', "31[]"])
    def test_before_the_answer_to_connect_they_end_the_connection(self, text: str) -> None:
        connection = Connection(max_attachments=2)
        connection.receive("0")
        assert connection.receive(text) == Close("not_connected")

    def test_one_namespace_does_not_open_another(self) -> None:
        assert connected("/").receive('2/custom,["a"]') == Close("not_connected")

    def test_attachments_complete_a_packet(self) -> None:
        connection = connected("/")
        assert connection.receive(HEADER) is None
        assert connection.receive(b"bytes") == Packet(EVENT, ["file", b"bytes"])

    def test_attachments_do_not_get_around_the_table(self) -> None:
        connection = Connection(max_attachments=2)
        connection.receive(HEADER)
        assert connection.receive(b"bytes") == Close("not_connected")


class TestDisconnect:
    def test_it_leaves_one_namespace(self) -> None:
        connection = connected("/", "/custom")
        assert connection.receive("1/custom,") == Packet(DISCONNECT, namespace="/custom")
        assert connection.state("/custom") is State.ABSENT
        assert connection.receive('2["a"]') == Packet(EVENT, ["a"])

    def test_leaving_twice_does_no_harm(self) -> None:
        connection = connected("/", "/custom")
        connection.receive("1")
        assert connection.receive("1") is None
        assert connection.receive("0") == Packet(CONNECT)

    def test_a_namespace_the_server_left_takes_no_events(self) -> None:
        connection = connected("/")
        connection.left("/")
        assert connection.receive('2["a"]') == Close("not_connected")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("4abc", "bad_json"),
        ("2{}", "bad_event"),
        ('2abc["a"]', "bad_json"),
        ('2["disconnect"]', "reserved_event"),
        ('4{"message":"no"}', "unexpected_packet"),
        (b"", "unexpected_attachment"),
        ('53-["a"]', "too_many_attachments"),
    ],
)
def test_a_malformed_message_ends_the_connection(message: str | bytes, reason: str) -> None:
    connection = connected("/")
    assert connection.receive(message) == Close(reason)
    assert connection.receive('2["a"]') is None


namespaces = st.sampled_from(["/", "/a", "/b", "/c?q"])
valid = st.builds(
    lambda head, namespace, body: f"{head}{'' if namespace == '/' else namespace + ','}{body}",
    st.sampled_from(["0", "1", "2", "3", "4", "51-", "52-", "61-"]),
    namespaces,
    st.sampled_from(["", "{}", '["a"]', '7["a"]', '7["a",{"_placeholder":true,"num":0}]', '"x"']),
)
messages = st.one_of(valid, valid, valid, st.binary(max_size=3), st.text(max_size=10))
answers = st.tuples(st.sampled_from(["accepted", "refused", "left"]), namespaces)


@given(st.lists(st.one_of(messages, messages, answers), max_size=50))
def test_any_history_passes_only_what_the_table_allows_and_ends_with_a_name(
    history: list[str | bytes | tuple[str, str]],
) -> None:
    connection = Connection(max_attachments=2)
    closed = False
    for step in history:
        if isinstance(step, tuple):
            getattr(connection, step[0])(step[1])
            continue
        got = connection.receive(step)
        if closed:
            assert got is None
        elif isinstance(got, Close):
            assert got.reason
            closed = True
        elif got is not None:
            after = {CONNECT: State.CONNECTING, DISCONNECT: State.ABSENT}.get(got.type, State.CONNECTED)
            assert connection.state(got.namespace) is after
            assert got.attachments == 0
