from __future__ import annotations

from gateway.chat.settings import merged


def test_objects_are_merged_and_everything_else_replaced() -> None:
    base = {"chat": {"media": {"enabled": True, "types": ["a"]}, "text": "x"}, "calls": {"enabled": True}}
    over = {"chat": {"media": {"types": []}, "extra": 1}, "calls": {"enabled": False}}
    assert merged(base, over) == {
        "chat": {"media": {"enabled": True, "types": []}, "text": "x", "extra": 1},
        "calls": {"enabled": False},
    }


def test_neither_side_is_changed() -> None:
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged(base, over)
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})
