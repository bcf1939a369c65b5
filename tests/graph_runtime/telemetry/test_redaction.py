"""Secrets are known by the name of their field and by their shape; what only looks similar stays readable."""

from __future__ import annotations

import pytest

from graph_runtime.telemetry.redaction import HIDDEN, redact, redact_value

# In pieces, so that no scanner takes them for real ones.
SECRETS = {
    "telegram": "7123456789:" + "AAF" + "k3JdR0xQv7zW1mN9bT4yUo2LpHs6EeCgI8",
    "webhook": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "openai": "sk-" + "proj-Ab12Cd34Ef56Gh78",
    "stripe": "sk_" + "live_51H8aBcDeFgHiJk",
    "ours": "pck_" + "9fJk2LmN3oPq4RsT",
    "slack": "xoxb-" + "123456789012-abcdefGHIJKL",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "google": "AIza" + "SyA1234567890abcdefghijklmnopqrs",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_of_a_sentence(name: str) -> None:
    secret = SECRETS[name]
    assert secret[8:] not in redact(f"The vendor refused {secret}, it said.")
    assert redact(f"The vendor refused {secret}, it said.") == f"The vendor refused {HIDDEN}, it said."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {HIDDEN}"),
        ("GET /me?access_token=EAAGm0PX4ZCps&x=1", f"GET /me?access_token={HIDDEN}&x=1"),
        (
            "https://acme.bitrix24.com/rest/12/ab12cd34ef56gh/crm.deal.list",
            f"https://acme.bitrix24.com/rest/12/{HIDDEN}/crm.deal.list",
        ),
        (
            "POST https://ai.example/hooks/crm/Qy3-4fKJd8sLw0ZbVt_mXo9RcNuE HTTP/1.1",
            f"POST https://ai.example/hooks/crm/{HIDDEN} HTTP/1.1",
        ),
        (
            "/api/v4/webhooks?filter[destination]=https%3A%2F%2Fai.example%2Fhooks%2Fcrm%2FQy34fKJd8sLw0ZbVtmXo9",
            f"/api/v4/webhooks?filter[destination]=https%3A%2F%2Fai.example%2Fhooks%2Fcrm%2F{HIDDEN}",
        ),
        ("postgresql://app:p4ssw0rd@db/patchcord", f"postgresql://app:{HIDDEN}@db/patchcord"),
    ],
)
def test_what_surrounds_a_secret_stays(before: str, after: str) -> None:
    assert redact(before) == after


@pytest.mark.parametrize("text", ["Task 12 of sk 5", "https://example.org/rest/of/it", "a tokenizer", "10:30 today"])
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_fields_are_hidden_by_name_wherever_they_are() -> None:
    value = {
        "user": {"Password": "a", "api_key": "b", "name": "Ann"},
        "list": [{"refresh_token": "c"}],
        "input_tokens": 7,
    }
    assert redact_value(value) == {
        "user": {"Password": HIDDEN, "api_key": HIDDEN, "name": "Ann"},
        "list": [{"refresh_token": HIDDEN}],
        "input_tokens": 7,
    }


def test_addresses_of_people_are_hidden_in_the_words_of_vendors_only() -> None:
    assert redact("for olena@example.com", personal=True) == f"for {HIDDEN}"
    assert redact("for olena@example.com") == "for olena@example.com"
    assert redact_value(ValueError("no such mailbox: olena@example.com")) == f"no such mailbox: {HIDDEN}"


def test_a_value_without_end_has_an_end() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert HIDDEN in str(redact_value(loop))
