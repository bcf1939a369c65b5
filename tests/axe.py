"""What axe finds on a page that has come to rest: in the middle of a fade it would judge colors that nobody chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_core_python
from playwright.async_api import Page
from playwright.sync_api import Page as SyncPage

AXE = (Path(axe_core_python.__path__[0]) / "axe.min.js").read_text("utf-8")
RUN = """async () => {
  const moving = () => document.getAnimations().filter(a => Number.isFinite(a.effect.getComputedTiming().endTime) && a.playState === 'running')
  for (let still = moving(); still.length; still = moving()) await Promise.allSettled(still.map(a => a.finished))
  return axe.run(document, {resultTypes: ['violations']})
}"""


async def serious(page: Page) -> list[str]:
    """What axe calls serious or critical, with the places."""
    await page.evaluate(AXE)
    return _faults(await page.evaluate(RUN))


def serious_now(page: SyncPage) -> list[str]:
    """As `serious`, for tests that drive the browser synchronously."""
    page.evaluate(AXE)
    return _faults(page.evaluate(RUN))


def _faults(found: dict[str, Any]) -> list[str]:
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary']}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]
