"""Finds a Chromium for the tests that use a browser, or says exactly what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "PATCHCORD_CHROMIUM"


class NoChromium(Exception):
    """There is no browser and it could not be installed; the message says how to get one."""


def ensure_chromium() -> str:
    """The path of a Chromium, installed first when this account may install packages.

    Raises: NoChromium
    """
    if found := _find():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("No Chromium found; installing it with apt-get ...", flush=True)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
    if found := _find():
        return found
    raise NoChromium(
        "The tests of the screens need Chromium, and there is none. Install it with one of:\n"
        "  sudo apt-get install chromium\n"
        f"  {sys.executable} -m playwright install chromium\n"
        f"or set {VARIABLE} to the program's path. Without a browser you can run: ./patchcord test --fast"
    )


def _find() -> str | None:
    if chosen := os.environ.get(VARIABLE):
        return chosen
    for name in NAMES:
        if found := shutil.which(name):
            return found
    return _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
