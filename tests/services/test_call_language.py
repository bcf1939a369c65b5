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


TWO = [{"id": "en", "label": "English"}, {"id": "uk", "label": "Українська"}]
SWITCHES = phone_flow(
    {
        "n_which": ("ask_choice", {"text": "Which language?", "options": TWO}),
        "n_fine": ("send_message", {"text": "Fine."}),
        "n_uk": ("switch_language", {"language": "uk"}),
        "n_price": ("send_message", {"text": "It is no. 5."}),
        "n_name": ("ask", {"text": "Your name?", "kind": "text"}),
    },
    {
        "n_start.next": "n_which", "n_which.en": "n_name", "n_which.other": "n_name", "n_which.uk": "n_fine",
        "n_fine.next": "n_uk", "n_uk.next": "n_price", "n_price.next": "n_name", "n_name.answered": "n_name",
    },
    i18n={"uk": {"n_price.text": "Це № 5–7.", "n_name.text": "Як вас звати?"}},
)  # fmt: skip


async def test_a_step_changes_the_language_within_its_turn(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, SWITCHES, voice_uk="Olena", voice_en="Ann")
    call, _ = await line.answered()
    turn = await line.turn(call, "Українська")
    spoken = [(e.voice.language, e.voice.name, e.text.strip()) for e in turn.events if isinstance(e, Words)]
    assert spoken == [
        ("en", "Ann", "Fine."),
        ("uk", "Olena", "Це номер 5 до 7."),
        ("uk", "Olena", "Як вас звати?"),
    ]
    assert isinstance(turn.end, Listen)
    assert turn.end.languages == ("uk",)
    assert call.language == "uk"
    # Another process that takes the call over learns it from what was committed.
    taken = await services.phone_calls.attach(call.uuid)
    assert taken.language == "uk"
    said = (await services.phone_calls._turns.reader.messages(call.workspace_id, call.conversation_id))[-3:]
    assert [m["flags"] for m in said] == [{"language": "en"}, {"language": "uk"}, {"language": "uk"}]


async def test_a_step_speaks_and_listens_in_a_language_of_its_own(services: Services, owner: Principal) -> None:
    flow = phone_flow(
        {
            "n_say": ("say", {"text": "Доброго дня.", "language": "uk"}),
            "n_hear": ("listen", {"language": "ru"}),
            "n_bye": ("say", {"text": "Bye."}),
            "n_end": ("end", {}),
        },
        {
            "n_start.next": "n_say",
            "n_say.finished": "n_hear",
            "n_hear.heard": "n_bye",
            "n_hear.digits": "n_bye",
            "n_hear.silence": "n_bye",
            "n_bye.finished": "n_end",
        },
    )
    line = await new_line(services, owner, flow, voice_uk="Olena", voice_en="Ann")
    call, first = await line.answered()
    assert {(e.voice.language, e.voice.name) for e in first.events if isinstance(e, Words)} == {("uk", "Olena")}
    assert isinstance(first.end, Listen)
    assert first.end.languages == ("ru",)
    last = await line.turn(call, "привет")
    assert {(e.voice.language, e.voice.name) for e in last.events if isinstance(e, Words)} == {("en", "Ann")}
