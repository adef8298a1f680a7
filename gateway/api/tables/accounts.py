"""Rows of the table of routes: users, their devices, the tenant and its apps."""

from __future__ import annotations

from typing import Final

from gateway.api import apps, devices, tenants, users
from gateway.api.matching import Route
from gateway.api.minting import Session
from gateway.chat.apps import AppList, AppView, DeletedApp
from gateway.chat.tenants import SettingsPatch, SettingsView
from gateway.records import Device, User, UserPage

ACCOUNTS: Final = (
    Route(
        method="POST",
        path="/v1/users",
        handler=users.post_user,
        who="key",
        summary="Create or update a user",
        body=users.UserBody,
        answer=User,
    ),
    Route(
        method="GET",
        path="/v1/users",
        handler=users.list_users,
        who="either",
        summary="Find users by name or id",
        query=users.UsersQuery,
        answer=UserPage,
    ),
    Route(
        method="POST",
        path="/v1/auth/token",
        handler=users.post_token,
        who="key",
        summary="Mint a session token for a user",
        body=users.TokenBody,
        answer=Session,
        statuses=(201,),
        errors=(404,),
    ),
    Route(
        method="POST",
        path="/v1/auth/revoke",
        handler=users.revoke_session,
        who="session",
        summary="Take back this session token: sign out here",
        answer=users.RevokedSessions,
    ),
    Route(
        method="POST",
        path="/v1/users/{userId}/revoke-sessions",
        handler=users.revoke_sessions,
        who="key",
        summary="Take back all session tokens of a user: sign out everywhere",
        answer=users.RevokedSessions,
    ),
    Route(
        method="GET",
        path="/v1/tenant/settings",
        handler=tenants.get_settings,
        who="either",
        summary="Read the tenant's settings",
        answer=SettingsView,
    ),
    Route(
        method="PATCH",
        path="/v1/tenant/settings",
        handler=tenants.patch_settings,
        who="key",
        summary="Change the tenant's settings",
        body=SettingsPatch,
        answer=SettingsView,
    ),
    Route(
        method="POST",
        path="/v1/users/me/device-tokens",
        handler=devices.post_own_device,
        who="session",
        summary="Register a device of the session's user for push",
        body=devices.DeviceBody,
        answer=Device,
        statuses=(201,),
        errors=(404,),
    ),
    Route(
        method="DELETE",
        path="/v1/users/me/device-tokens/{token}",
        handler=devices.delete_own_device,
        who="session",
        summary="Forget a device of the session's user",
        answer=devices.ForgottenDevice,
    ),
    Route(
        method="POST",
        path="/v1/users/{userId}/device-tokens",
        handler=devices.post_device,
        who="key",
        summary="Register a device of a user for push",
        body=devices.DeviceBody,
        answer=Device,
        statuses=(201,),
    ),
    Route(
        method="GET",
        path="/v1/tenant-apps",
        handler=apps.list_apps,
        who="key",
        summary="List the tenant's apps",
        answer=AppList,
    ),
    Route(
        method="POST",
        path="/v1/tenant-apps",
        handler=apps.post_app,
        who="key",
        summary="Create an app",
        body=apps.AppBody,
        answer=AppView,
        statuses=(201,),
    ),
    Route(
        method="GET",
        path="/v1/tenant-apps/{appCode}",
        handler=apps.get_app,
        who="key",
        summary="Read an app",
        answer=AppView,
    ),
    Route(
        method="PATCH",
        path="/v1/tenant-apps/{appCode}",
        handler=apps.patch_app,
        who="key",
        summary="Change an app, or the settings of its push providers",
        body=apps.AppPatchBody,
        answer=AppView,
    ),
    Route(
        method="DELETE",
        path="/v1/tenant-apps/{appCode}",
        handler=apps.delete_app,
        who="key",
        summary="Delete an app; its users become the default app's",
        answer=DeletedApp,
        errors=(409,),
    ),
)
