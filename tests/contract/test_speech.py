"""Which languages a voice or a transcriber covers."""

from __future__ import annotations

import pytest

from graph_runtime.contract.speech import speaks


@pytest.mark.parametrize(
    ("offered", "asked", "covers"),
    [
        ((), "uk", True),
        (("en",), "en-GB", True),
        (("en-US",), "en", True),
        (("en-US",), "en-gb", False),
        (("uk-UA",), "uk-ua", True),
        (("uk", "ru"), "ru", True),
        (("uk",), "ru", False),
    ],
)
def test_a_language_covers_its_regions(offered: tuple[str, ...], asked: str, covers: bool) -> None:
    assert speaks(offered, asked) is covers
