"""Kommo, also known as amoCRM."""
