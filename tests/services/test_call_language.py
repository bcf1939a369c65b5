"""A call whose language changes: what follows is spoken, asked again and listened to in the other one."""

from __future__ import annotations

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Listen, Silence, Words
from graph_runtime.services.principal import Principal
from tests.phone_world import new_line, phone_flow

FLOW = phone_flow(
    {
        "n_first": ("ask_choice", {"text": "Which day?", "options": [{"id": "mon", "label": "Monday"}]}),
        "n_then": ("ask", {"text": "Anything else?", "kind": "text"}),
    },
    {"n_start.next": "n_first", "n_first.mon": "n_then", "n_first.other": "n_then", "n_then.answered": "n_then"},
    i18n={"uk": {"n_then.text": "Ще щось?"}},
)


async def test_voice_and_recogniser_follow_the_conversation(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, FLOW, voice_uk="Olena", voice_en="Ann")
    call, first = await line.answered()
    assert isinstance(first.end, Listen)
    assert first.end.languages == ("en",)
    assert {e.voice.name for e in first.events if isinstance(e, Words)} == {"Ann"}
    async with services.database.workspace(owner.workspace_id) as connection:
        await connection.execute("UPDATE conversation SET language = 'uk' WHERE id = %s", (call.conversation_id,))
    again = await line.turn(call, Silence())  # the turn that follows is already in the other language
    spoken = [e for e in again.events if isinstance(e, Words)]
    assert {(e.voice.language, e.voice.name) for e in spoken} == {("uk", "Olena")}
    asked = await line.turn(call, "Monday")
    assert asked.said == ["Ще щось?"]
    assert isinstance(asked.end, Listen)
    assert asked.end.languages == ("uk",)
    assert call.language == "uk"
