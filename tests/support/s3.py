"""A real S3 server for tests: moto's, in a thread of this process."""

from __future__ import annotations

import logging
from typing import Any

import httpx2

from gateway.config import ObjectStorage
from tests.support.require import missing


class S3Server:
    """Speaks S3 on a free port until ``stop``."""

    def __init__(self) -> None:
        try:
            from moto.server import ThreadedMotoServer
        except ImportError:
            missing("moto, an S3 server,", get="pip install 'moto[server]'.")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def bucket(self, name: str, *, prefix: str = "") -> ObjectStorage:
        """A new bucket, as the gateway's settings name it."""
        made = httpx2.put(f"{self.url}/{name}", trust_env=False)
        assert made.is_success, made.text
        return ObjectStorage(
            bucket=name,
            prefix=prefix,
            endpoint=self.url,
            access_key_id="test",
            secret_access_key="test",
        )

    def keys(self, bucket: str) -> list[str]:
        """What is in a bucket, and what has begun to be."""
        listed = httpx2.get(f"{self.url}/{bucket}?list-type=2", trust_env=False).text
        return [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]

    def stop(self) -> None:
        self._server.stop()
