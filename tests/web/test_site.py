"""Pages, health and errors, asked as browsers and as programs ask."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from quart_trio import QuartTrio

from gateway.errors import Unavailable
from tests.support.contract import EVENTS
from tests.web.conftest import Surroundings

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = {entry.name: entry.read_text() for entry in (files("gateway.web") / "pages").iterdir()}


class TestPages:
    @pytest.mark.parametrize("path", ["/", "/docs"])
    async def test_they_may_load_nothing_from_elsewhere_and_run_nothing_inline(
        self, site: QuartTrio, path: str
    ) -> None:
        response = await site.test_client().get(path, headers=BROWSER)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert policy[0] == "default-src 'none'"
        assert not re.search(r"unsafe|\*|https?:", " ".join(policy))

    async def test_the_start_page_leads_everywhere(self, site: QuartTrio) -> None:
        client = site.test_client()
        page = await (await client.get("/")).get_data(as_text=True)
        links = {link.partition("#")[0] for link in re.findall(r'(?:href|src)="(/[^"]*)"', page)}
        assert {"/docs", "/openapi.json", "/healthz", "/readyz"} <= links
        assert {link: (await client.get(link)).status_code for link in links} == dict.fromkeys(links, 200)

    def test_the_reference_explains_every_event(self) -> None:
        explained = set(re.findall(r"<tr><td><code>([a-z-]+)</code></td>", PAGES["docs.html"]))
        assert explained == {*EVENTS, "join-room", "leave-room"}

    @pytest.mark.parametrize("name", sorted(PAGES))
    def test_no_file_names_another_host(self, name: str) -> None:
        addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", PAGES[name])) - {"http://www.w3.org"}
        assert addresses == set()

    @pytest.mark.parametrize("name", sorted(name for name in PAGES if not name.endswith(".html")))
    async def test_every_asset_is_served_as_what_it_is(self, site: QuartTrio, name: str) -> None:
        response = await site.test_client().get(f"/assets/{name}")
        kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
        assert response.mimetype == kinds[name.rpartition(".")[2]]
        assert await response.get_data(as_text=True) == PAGES[name]

    def test_scripts_and_styles_that_a_file_names_exist(self) -> None:
        named = {
            name for text in PAGES.values() for name in re.findall(r'(?:"/assets/|from "\./)([\w.]+)"', text)
        }
        assert named == {name for name in PAGES if not name.endswith(".html")}

    async def test_a_page_that_has_not_changed_is_not_sent_again(self, site: QuartTrio) -> None:
        client = site.test_client()
        first = await client.get("/assets/gateway.css")
        again = await client.get("/assets/gateway.css", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        assert await again.get_data() == b""

    @pytest.mark.parametrize("name", ["start.html", "error.html", "..%2Fsite.py", "nothing.css"])
    async def test_what_is_no_asset_is_not_found(self, site: QuartTrio, name: str) -> None:
        assert (await site.test_client().get(f"/assets/{name}")).status_code == 404


class TestHealth:
    async def test_a_process_that_answers_is_alive(self, site: QuartTrio) -> None:
        response = await site.test_client().get("/healthz")
        assert (response.status_code, await response.get_json()) == (200, {"status": "alive"})

    async def test_it_is_ready_when_every_check_passes(self, site: QuartTrio) -> None:
        response = await site.test_client().get("/readyz")
        expected = {"status": "ready", "checks": {"store": True, "bus": True}}
        assert (response.status_code, await response.get_json()) == (200, expected)

    async def test_one_failing_check_makes_it_unready_and_is_named(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        around.checks["store"] = False
        response = await site.test_client().get("/readyz")
        expected = {"status": "not ready", "checks": {"store": False, "bus": True}}
        assert (response.status_code, await response.get_json()) == (503, expected)
        assert response.headers["Retry-After"] == "1"

    async def test_health_is_not_cached(self, site: QuartTrio) -> None:
        assert (await site.test_client().get("/readyz")).headers["Cache-Control"] == "no-store"


async def test_the_openapi_document_may_be_read_by_any_page(site: QuartTrio, around: Surroundings) -> None:
    response = await site.test_client().get("/openapi.json")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert await response.get_json() == around.openapi()


class TestErrors:
    async def test_what_cannot_be_done_now_says_when_to_try_again(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        around.files.error = Unavailable("The store cannot read now.", retry_after_s=2.0)
        response = await site.test_client().get("/files/1")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "2")

    async def test_a_program_gets_the_error_body_of_the_contract(self, site: QuartTrio) -> None:
        response = await site.test_client().get("/nope")
        sentence = "There is nothing at this address."
        assert response.status_code == 404
        assert await response.get_json() == {
            "statusCode": 404,
            "error": sentence,
            "message": sentence,
            "code": "not_found",
        }

    async def test_a_browser_gets_a_page(self, site: QuartTrio) -> None:
        response = await site.test_client().get("/nope", headers=BROWSER)
        assert (response.status_code, response.mimetype) == (404, "text/html")
        assert "There is nothing at this address." in await response.get_data(as_text=True)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")

    async def test_an_address_in_a_page_is_not_repeated_as_html(self, site: QuartTrio) -> None:
        response = await site.test_client().get("/<script>x</script>", headers=BROWSER)
        assert "<script>x" not in await response.get_data(as_text=True)

    async def test_the_wrong_method_says_which_is_right(self, site: QuartTrio) -> None:
        response = await site.test_client().post("/healthz")
        assert response.status_code == 405
        assert "GET" in response.headers["Allow"]
        assert (await response.get_json())["code"] == "method_not_allowed"

    async def test_a_file_is_read_and_sent_at_one_address(self, site: QuartTrio) -> None:
        response = await site.test_client().post("/files/1")
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS, PUT"

    async def test_a_bug_is_confessed_without_its_details(
        self, site: QuartTrio, around: Surroundings
    ) -> None:
        del around.checks
        response = await site.test_client().get("/readyz")
        assert response.status_code == 500
        body = await response.get_json()
        assert body["code"] == "internal"
        assert "checks" not in str(body)
