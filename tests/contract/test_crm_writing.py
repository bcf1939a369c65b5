"""What is written to a customer system: whose name a record gets, and when a missing one is filled."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract.crm import CrmRecord
from graph_runtime.contract.crm_writing import CrmWrite, carry_out, is_unnamed, name_of
from graph_runtime.contract.errors import Refused, Unreachable
from graph_runtime.testing import FakeCrm

PHONE = "+380501112233"


@pytest.mark.parametrize(
    ("contact", "said", "name"),
    [
        ({"name": "Olena Koval", "first_name": "Lena"}, {"name": "Roses"}, "Olena Koval"),
        ({"first_name": "Olena", "last_name": "Koval"}, {}, "Olena Koval"),
        ({"phone": PHONE}, {"name": "  Olena\n Koval "}, "Olena Koval"),
        ({"name": ""}, {"first_name": "Olena"}, "Olena"),
        ({"phone": PHONE, "email": "o@example.org"}, {}, ""),
    ],
)
def test_a_name_is_what_is_known_of_the_contact_else_what_they_said(
    contact: dict[str, Any], said: dict[str, Any], name: str
) -> None:
    assert name_of(contact, said) == name


@pytest.mark.parametrize("name", ["", "  ", "+380 50 111-22-33", "0501112233", "o@example.org", "wa_17"])
def test_what_is_no_name(name: str) -> None:
    assert is_unnamed(name, "WA_17")


@pytest.mark.parametrize("name", ["Olena", "Олена 2", "李"])
def test_what_a_person_gave_is_a_name(name: str) -> None:
    assert not is_unnamed(name, PHONE)


async def test_a_contact_made_for_a_deal_is_called_as_the_client_is_and_only_else_by_the_phone() -> None:
    for own_name, made in (("Olena Koval", "Olena Koval"), ("", PHONE)):
        crm = FakeCrm()
        await carry_out(crm, CrmWrite("lead", "phone", PHONE, own_name=own_name, values={"price": 5}))
        assert crm.written[0] == {"do": "create", "entity": "contact", "values": {"name": made, "phone": PHONE}}


def _kept(name: str, *, tells: bool = False) -> FakeCrm:
    whose = ("3", name) if tells else None
    return FakeCrm(
        [
            CrmRecord("contact", "3", name, {"phone": PHONE}),
            CrmRecord("lead", "17", "Bouquet", {"phone": PHONE}, contact=whose),
        ]
    )


@pytest.mark.parametrize("tells", [True, False])
async def test_a_name_that_is_learned_later_fills_a_missing_one_and_changes_no_other(tells: bool) -> None:
    write = CrmWrite("lead", "phone", PHONE, own_name="Olena Koval", values={"price": 5})
    named = {"do": "update", "entity": "contact", "id": "3", "values": {"name": "Olena Koval"}}
    for name, expected in ((PHONE, [named]), ("Lena from the shop", [])):
        crm = _kept(name, tells=tells)
        made = await carry_out(crm, write)
        assert made.error is None
        assert crm.written == [*expected, {"do": "update", "entity": "lead", "id": "17", "values": {"price": 5}}]
        assert (await carry_out(crm, write)).error is None
        assert crm.written[len(expected) + 1 :] == crm.written[len(expected) : len(expected) + 1], "named once"


async def test_a_contact_that_is_written_itself_is_named_with_the_rest_unless_the_step_names_it() -> None:
    for values, name in (({"cf_1": "x"}, "Olena"), ({"cf_1": "x", "name": "Mrs Koval"}, "Mrs Koval")):
        crm = _kept("")
        await carry_out(crm, CrmWrite("contact", "phone", PHONE, own_name="Olena", values=values))
        assert crm.written == [{"do": "update", "entity": "contact", "id": "3", "values": {"cf_1": "x", "name": name}}]


async def test_a_new_deal_names_the_contact_that_was_there_without_a_name() -> None:
    crm = FakeCrm([CrmRecord("contact", "3", "", {"phone": PHONE})])
    await carry_out(crm, CrmWrite("lead", "phone", PHONE, own_name="Olena"))
    assert [(w["do"], w["entity"]) for w in crm.written] == [("update", "contact"), ("create", "lead")]
    assert crm.written[1]["contact"] == "3"


async def test_a_refused_name_keeps_nobody_from_the_deal_and_a_system_that_is_away_is_met_again() -> None:
    write = CrmWrite("lead", "phone", PHONE, own_name="Olena", values={"price": 5})
    crm = _kept(PHONE)
    crm.failures["update"] = [Refused("No.")]
    made = await carry_out(crm, write)
    assert (made.error, made.done) == (None, ("record",))
    crm = _kept(PHONE)
    crm.failures["update"] = [Unreachable("Away.")]
    made = await carry_out(crm, write)
    assert isinstance(made.error, Unreachable)
    assert made.rest == write
