"""HAProxy as we ship it, in front of gateways on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from bench.server import free_port
from tests.support.process import ROOT
from tests.support.require import missing

FILE = ROOT / "configs" / "haproxy.cfg"
READY_S = 60.0


def configuration(gateways: int) -> str:
    """What we ship, with a line in each backend for each gateway above the second, as it says."""
    lines = []
    for line in FILE.read_text().splitlines():
        lines.append(line)
        if line.strip().startswith("server gateway-2 "):
            lines += [
                line.replace("gateway-2", f"gateway-{number}").replace("GATEWAY_2", f"GATEWAY_{number}")
                for number in range(3, gateways + 1)
            ]
    return "\n".join(lines) + "\n"


@contextmanager
def balanced(folder: Path, urls: Sequence[str]) -> Iterator[str]:
    """The address under which HAProxy spreads clients over the gateways at ``urls``."""
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        missing("HAProxy", get="Install your system's haproxy package.")
    file, log = folder / "haproxy.cfg", folder / "haproxy.log"
    file.write_text(configuration(len(urls)))
    address = f"127.0.0.1:{free_port()}"
    environ = {f"GATEWAY_{number}": urlsplit(url).netloc for number, url in enumerate(urls, 1)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-f", str(file)],
            env={**os.environ, **environ, "HAPROXY_BIND": address},
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://{address}"
        deadline = time.monotonic() + READY_S
        while not _is_ready(url):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)  # a process elsewhere gives no other sign
        yield url
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", trust_env=False).is_success
    except httpx2.TransportError:
        return False
