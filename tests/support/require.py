"""Things a machine may lack: the test that needs one is skipped with a sentence, or fails where nothing may be skipped."""

from __future__ import annotations

import os
from typing import NoReturn


def missing(what: str, *, get: str) -> NoReturn:
    """Skip this test; with ``GATEWAY_TEST_REQUIRE=1`` fail it, so that a complete run cannot pass by skipping.

    Args:
        what: the thing, as the subject of a sentence.
        get: how to get it, as an instruction.
    """
    import pytest

    sentence = f"{what} is missing. {get}"
    if os.environ.get("GATEWAY_TEST_REQUIRE") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
