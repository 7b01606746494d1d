"""
Every page that a role can reach by links: it answers, asks nobody else for anything, keeps to its policy, runs its
scripts without an error, and fits a telephone as it fits a desk. A link that leads to a refusal is a fault of its page.
"""

import re
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

import pytest

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# One of a kind is enough: all entries, all shipments, all readers look alike.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[0-9]+(?=/|$)")
MOST_PAGES = 60
ROLES = ("operator", "supervisor", "officer", "auditor", "administrator", "representative")


def kind_of(url: str) -> str:
    return _ID.sub("#", urlsplit(url).path)


def links(page, own: str) -> list[str]:
    found = page.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))")
    urls = [urljoin(page.url, href) for href in found]
    return [
        url.split("#")[0]
        for url in urls
        if url.startswith(own) and not urlsplit(url).path.startswith(("/admin/", "/log/", "/static/"))
    ]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("role", ROLES)
def test_every_page_answers_keeps_its_policy_and_fits(
    at_browser: Callable, server: Server, role: str, width: int
) -> None:
    with at_browser(width=width) as person:
        person.log_in(role)
        page = person.page
        waiting, seen, faults = [page.url], set(), []
        while waiting and len(seen) < MOST_PAGES:
            url = waiting.pop(0)
            if kind_of(url) in seen:
                continue
            seen.add(kind_of(url))
            answer = page.request.get(url)
            if answer.status != 200:
                faults.append(f"{url}: {answer.status}")
                continue
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            page.goto(url)
            wide, fits = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            if wide > fits:
                faults.append(f"{url}: {wide} px wide on {fits}")
            waiting += links(page, server.url)
        assert faults == []
        assert len(seen) > 3
