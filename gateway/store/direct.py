"""What counts as a direct conversation (contract 3.2): no flag says so, and both UI kits guess alike."""

from __future__ import annotations

import re

# "dm" or "direct" as a word, also between underscores and before a capital: demo_dm, direct-chat,
# directMessage.
_DIRECT_WORD = re.compile(r"(?<![A-Za-z])(?:[dD][mM]|[dD]irect|DIRECT)(?![a-z])")


def is_direct(
    *, name: str | None, custom_type: str | None, external_id: str | None, participants: int
) -> bool:
    """Whether a room is a conversation of two people rather than a group."""
    return (
        (custom_type is not None and _DIRECT_WORD.search(custom_type) is not None)
        or (external_id is not None and external_id.startswith("dm:"))
        or (participants == 2 and not name)
    )
