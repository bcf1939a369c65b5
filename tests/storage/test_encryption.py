"""A sealed secret opens in its own place only, and only with the right keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.storage.encryption import DataKey, KeyRing, VaultLocked, new_data_key, number_of

PLACE = "workspace-a|credential-1|key|1"


@given(st.text().filter(lambda t: t.isprintable()))
def test_what_is_sealed_opens_again(text: str) -> None:
    key = DataKey(7, new_data_key())
    sealed = key.seal(text, PLACE)
    assert key.open(sealed, PLACE) == text
    assert number_of(sealed) == 7


def test_the_same_secret_never_looks_the_same() -> None:
    key = DataKey(1, new_data_key())
    assert key.seal("sk-secret", PLACE) != key.seal("sk-secret", PLACE)
    assert b"sk-secret" not in key.seal("sk-secret", PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "workspace-b|credential-1|key|1",
        "workspace-a|credential-2|key|1",
        "workspace-a|credential-1|other|1",
        "workspace-a|credential-1|key|2",
    ],
)
def test_a_row_moved_to_another_place_does_not_open(elsewhere: str) -> None:
    key = DataKey(1, new_data_key())
    with pytest.raises(VaultLocked):
        key.open(key.seal("sk-secret", PLACE), elsewhere)


def test_every_changed_bit_is_noticed() -> None:
    key = DataKey(1, new_data_key())
    sealed = key.seal("sk", PLACE)
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(VaultLocked):
            key.open(bytes(changed), PLACE)


@pytest.mark.parametrize("length", range(20))
def test_a_cut_secret_does_not_open(length: int) -> None:
    key = DataKey(1, new_data_key())
    with pytest.raises(VaultLocked):
        key.open(key.seal("sk", PLACE)[:length], PLACE)


def test_a_data_key_opens_for_its_workspace_and_number_only() -> None:
    ring = KeyRing(["installation secret"])
    data_key = new_data_key()
    wrapped, wrapped_by = ring.wrap(data_key, "workspace-a", 1)
    assert ring.unwrap(wrapped, wrapped_by, "workspace-a", 1).raw == data_key
    for workspace_id, number in (("workspace-b", 1), ("workspace-a", 2)):
        with pytest.raises(VaultLocked):
            ring.unwrap(wrapped, wrapped_by, workspace_id, number)


def test_a_ring_reads_what_its_older_keys_wrapped() -> None:
    wrapped, wrapped_by = KeyRing(["old"]).wrap(new_data_key(), "w", 1)
    ring = KeyRing(["new", "old"])
    data_key = ring.unwrap(wrapped, wrapped_by, "w", 1)
    again, again_by = ring.wrap(data_key.raw, "w", 1)
    assert KeyRing(["new"]).unwrap(again, again_by, "w", 1).raw == data_key.raw
    with pytest.raises(VaultLocked, match="PATCHCORD_SECRET_KEY"):
        KeyRing(["new"]).unwrap(wrapped, wrapped_by, "w", 1)


def test_keys_do_not_print() -> None:
    key = new_data_key()
    assert repr(key) not in repr(DataKey(1, key))
    assert repr(DataKey(1, key)) == "DataKey(number=1)"


@pytest.mark.parametrize("secrets", [[], [""], ["good", ""]])
def test_an_empty_key_is_refused(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="secret"):
        KeyRing(secrets)
