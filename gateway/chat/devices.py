"""Where users can be reached by push (contract 2.1, endpoints 3 to 5)."""

from __future__ import annotations

from gateway.records import Device, Provider
from gateway.store.ports import Once, Store


class Devices:
    """What REST offers on device tokens."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def register(
        self,
        tenant_id: str,
        user_id: str,
        *,
        provider: Provider,
        token: str,
        platform: str | None,
        once: Once[Device] | None = None,
    ) -> Device:
        """Note a token of the user. A token is one device, so it is nobody else's from then on.

        Raises:
            NotFound: there is no such user.
        """
        return await self._store.register_device(
            tenant_id, user_id, provider=provider, token=token, platform=platform, once=once
        )

    async def forget(
        self, tenant_id: str, user_id: str, token: str, *, once: Once[bool] | None = None
    ) -> bool:
        """Whether the user had this token; to log out with an unknown one is no failure."""
        return await self._store.forget_device(tenant_id, user_id, token, once=once)
