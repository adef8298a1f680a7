"""A gateway with a certificate, and whom to trust for it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme

from tests.support.platform import Platform
from tests.support.process import Gateway
from tests.support.raw import Connection


class Secured:
    """A started gateway that serves TLS, and the backend of its tenant.

    Args:
        folder: for its data, its certificate and its key.
        settings: further keys and sections of its configuration.

    Attributes:
        ca: file of the authority that signed its certificate.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        chain, key = folder / "chain.pem", folder / "key.pem"
        certificate.cert_chain_pems[0].write_to_path(chain)
        certificate.private_key_pem.write_to_path(key)
        self.ca = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca)
        tls = {"certificate": str(chain), "key": str(key)}
        self.gateway = Gateway(folder / "data", settings={**settings, "tls": tls})
        keys = self.gateway.create_tenant()
        self.gateway.start()
        self.platform = Platform(self.gateway.url, keys.api_key, verify=self.trust())

    def trust(self) -> ssl.SSLContext:
        """A context for one client; HTTP clients write into theirs what they would negotiate."""
        return ssl.create_default_context(cafile=self.ca)

    def connect(self, *, receive_bytes: int | None = None) -> Connection:
        return Connection(self.gateway.url, tls=self.trust(), receive_bytes=receive_bytes)
