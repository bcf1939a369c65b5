"""Signals wake all who wait, mailboxes keep the order, and who gives up waiting is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from voice.signals import Mailbox, Signal


async def test_everybody_who_waits_is_woken_and_later_ones_wait_again() -> None:
    signal = Signal()
    waiting = [asyncio.create_task(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    signal.set()
    await asyncio.gather(*waiting, signal.wait())
    signal.clear()
    late = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    assert not late.done()
    signal.set()
    signal.clear()
    await late


async def test_who_gives_up_is_forgotten() -> None:
    signal = Signal()
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert signal._waiting == ()
    signal.set()


async def test_a_mailbox_gives_in_order_what_was_put_before_and_while_somebody_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    mailbox.put(2)
    assert [await mailbox.get(), await mailbox.get()] == [1, 2]
    waiting = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    mailbox.put(3)
    mailbox.put(4)
    assert await waiting == 3
    assert await mailbox.get() == 4


async def test_a_reader_who_gives_up_loses_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    waiting = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await mailbox.get() == 1
