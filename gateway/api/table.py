"""The table of routes: who may ask what, what it takes, and what it answers. All of REST is in it.

The rows are in ``gateway.api.tables``, a family a file.
"""

from __future__ import annotations

from typing import Final

from gateway.api.tables.accounts import ACCOUNTS
from gateway.api.tables.calls import CALLS
from gateway.api.tables.messages import MESSAGES
from gateway.api.tables.rooms import ROOMS
from gateway.api.tables.uploads import UPLOADS

ROUTES: Final = (*ACCOUNTS, *ROOMS, *MESSAGES, *CALLS, *UPLOADS)
