"""Configures Reflex and makes it build with the npm of the virtual environment instead of downloading a tool chain."""

import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
os.environ.setdefault("REFLEX_USE_NPM", "1")
os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "0")

import reflex as rx
from reflex.constants import StateManagerMode

config = rx.Config(
    app_name="builder_ui",
    app_module_import="builder_ui.app",
    telemetry_enabled=False,
    show_built_with_reflex=False,  # Settings → About credits Reflex instead
    frontend_lazy_bundled_libraries=True,  # halves the first page; nothing here is drawn from code sent at run time
    plugins=[
        rx.plugins.RadixThemesPlugin(
            theme=rx.theme(accent_color="iris", gray_color="slate", radius="large", scaling="95%")
        )
    ],
    disable_plugins=[rx.plugins.SitemapPlugin],
    state_manager_mode=StateManagerMode.MEMORY,  # the default pickles state to disk
    cors_allowed_origins=["http://localhost:3000"],  # the default is "*"
)
