"""The product without any screen, vendor or phone: flows, turns, storage, services and the API."""

__version__ = "0.1.0"
