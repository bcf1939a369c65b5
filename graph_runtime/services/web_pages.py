"""Web pages for knowledge bases: through the guarded door, with respect for robots.txt, one at a time per site."""

from __future__ import annotations

import html
import re
import zlib
from typing import Final, Protocol
from urllib import robotparser
from urllib.parse import urljoin, urlsplit

from graph_runtime.contract.errors import ConnectorError, Refused

AGENT: Final = "PatchcordKnowledge"
_HEADERS: Final = {"User-Agent": f"{AGENT}/1.0", "Accept": "text/html,application/xhtml+xml,text/*;q=0.8,*/*;q=0.5"}
PAGE_SECONDS: Final = 30.0
ROBOTS_SECONDS: Final = 10.0
MOST_SITEMAPS: Final = 20
_LOCATION: Final = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^<\]]+?)\s*(?:\]\]>)?\s*</loc>", re.IGNORECASE)


class FetchesFiles(Protocol):
    """`engine.http.HttpDoor`: guarded against internal addresses."""

    async def fetch(self, url: str, *, seconds: float, headers: dict[str, str] | None = None) -> bytes: ...


class RobotsForbid(Refused):
    """The site asks programs not to read this page."""


class WebPages:
    """Nothing is remembered: pages are read rarely, and robots.txt may have changed."""

    def __init__(self, door: FetchesFiles) -> None:
        self._door = door

    async def fetch(self, url: str) -> bytes:
        """The page. Raises: RobotsForbid, Refused (`status` when it is not there), Unreachable."""
        if not await self._may_read(url):
            raise RobotsForbid("The site asks programs not to read this page (robots.txt).")
        return await self._door.fetch(url, seconds=PAGE_SECONDS, headers=_HEADERS)

    async def of_sitemap(self, url: str, most: int) -> list[str]:
        """Pages of the same site that a sitemap, or an index of sitemaps, names. Raises: Refused, Unreachable."""
        site = urlsplit(url).netloc
        waiting, pages, seen = [url], dict[str, None](), 0
        while waiting and seen < MOST_SITEMAPS and len(pages) < most:
            seen += 1
            text = _unpacked(await self._door.fetch(waiting.pop(0), seconds=PAGE_SECONDS, headers=_HEADERS))
            found = [html.unescape(u) for u in _LOCATION.findall(text)]
            own = [u for u in found if urlsplit(u).netloc == site]
            if "<sitemapindex" in text:
                waiting += own
            else:
                pages.update(dict.fromkeys(own))
        return [*pages][:most]

    async def _may_read(self, url: str) -> bool:
        rules = robotparser.RobotFileParser()
        try:
            raw = await self._door.fetch(urljoin(url, "/robots.txt"), seconds=ROBOTS_SECONDS, headers=_HEADERS)
        except Refused as error:
            # RFC 9309: not there means everything may be read, not allowed to look means the same.
            if not 400 <= int(error.params.get("status") or 0) < 500:
                raise
            return True
        except ConnectorError:
            raise
        rules.parse(raw.decode("utf-8", "replace").splitlines())
        return rules.can_fetch(AGENT, url)


def _unpacked(raw: bytes) -> str:
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = zlib.decompressobj(47).decompress(raw, 20_000_000)
        except zlib.error:
            raise Refused("The sitemap is damaged.") from None
    return raw.decode("utf-8", "replace")
