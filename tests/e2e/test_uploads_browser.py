"""A browser on another origin sends a file and shows it, as the published clients do."""

from __future__ import annotations

import functools
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.platform import Platform
from tests.support.require import missing

PAGE = """<!doctype html><title>A file</title><script>
const given = %s;
const ask = async (method, path, body) => {
  const headers = {"content-type": "application/json", authorization: `Bearer ${given.token}`};
  const answer = await fetch(`${given.url}/v1${path}`, {method, headers, body: JSON.stringify(body)});
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};
const run = async () => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 7, height: 5});
  const file = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const up = await ask("POST", "/chat/uploads/presign",
    {filename: "a.png", mediaType: file.type, sizeBytes: file.size, roomId: given.roomId});
  const put = await fetch(up.uploadUrl, {method: up.method, headers: {"content-type": file.type}, body: file});
  if (!put.ok) throw new Error(`put: ${put.status}`);
  await ask("POST", `/chat/uploads/${up.uploadId}/complete`, {});
  const part = {type: "file", uploadId: up.uploadId, mediaType: file.type, filename: "a.png"};
  const message = await ask("POST", `/chat/rooms/${given.roomId}/messages`, {parts: [part]});
  const image = new Image();
  image.src = message.parts[0].url;
  await image.decode();
  const bytes = await (await fetch(message.parts[0].accessUrl)).arrayBuffer();
  return {width: image.width, height: image.height, same: bytes.byteLength === file.size};
};
run().then(JSON.stringify, (error) => `failed: ${error}`).then((body) => fetch("/said", {method: "POST", body}));
</script>"""


class Elsewhere:
    """Another origin, which serves a folder.

    Attributes:
        said: what its pages have posted to it.
    """

    def __init__(self, folder: Path) -> None:
        self.said = said = queue.SimpleQueue[str]()

        class Handler(SimpleHTTPRequestHandler):
            def do_POST(self) -> None:
                said.put(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    elsewhere = Elsewhere(tmp_path)
    thread = threading.Thread(target=elsewhere.server.serve_forever)
    thread.start()
    yield elsewhere
    elsewhere.server.shutdown()
    thread.join()
    elsewhere.server.server_close()


def test_a_file_goes_from_a_browser_on_another_origin_and_back(
    platform: Platform, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        missing("Chromium", get="Install the system's package.")
    ann = platform.person("ann")
    given = {"url": platform.url, "token": ann.token, "roomId": platform.room(ann).id}
    (tmp_path / "page.html").write_text(PAGE % json.dumps(given))
    # In real time: a virtual clock runs out when the browser is idle for a moment.
    shown = subprocess.Popen(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0"),
            f"{elsewhere.url}/page.html",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert elsewhere.said.get(timeout=90) == '{"width":7,"height":5,"same":true}'
    finally:
        shown.terminate()
        shown.wait(30)
