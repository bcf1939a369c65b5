"""The dialplan that people copy, line by line: each rule of it keeps a call from being lost, dead or open to strangers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied
from graph_runtime.places import REPOSITORY
from graph_runtime.services.principal import Principal

FOLDER = REPOSITORY / "asterisk"
LINE = re.compile(
    r"^(?:exten => (?P<exten>\w+),(?P<first>\d+)| same => n(?:\((?P<label>\w+)\))?),(?P<app>\w+)\((?P<data>.*)\)$"
)


@dataclass(frozen=True)
class Step:
    exten: str
    label: str
    app: str
    data: str


def parsed(text: str) -> list[Step]:
    """The steps of both contexts; a line that is neither comment nor step fails."""
    found: list[Step] = []
    contexts = {"patchcord": "", "patchcord-whisper": "whisper:"}
    exten = context = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith(";"):
            continue
        if line.startswith("["):
            context = line.strip("[]")
            continue
        match = LINE.match(line)
        assert match is not None, line
        exten = contexts[context] + match["exten"] if match["exten"] else exten
        assert match["first"] in (None, "1")
        found.append(Step(exten, match["label"] or "", match["app"], match["data"]))
    return found


STEPS = parsed((FOLDER / "extensions.conf").read_text("utf-8"))
MAIN = [s for s in STEPS if s.exten == "s"]


def place(start: str) -> int:
    """Where the step stands whose data begins with or contains a text."""
    return next(i for i, s in enumerate(MAIN) if start in f"{s.app}({s.data})")


def test_brackets_and_quotes_are_balanced() -> None:
    for step in STEPS:
        for opened, closed in ("()", "{}", "[]"):
            assert step.data.count(opened) == step.data.count(closed), step
        assert step.data.count('"') % 2 == 0, step


def test_every_jump_has_a_target() -> None:
    for exten in {s.exten for s in STEPS}:
        steps = [s for s in STEPS if s.exten == exten]
        labels = {s.label for s in steps if s.label}
        assert len(labels) == sum(bool(s.label) for s in steps)
        for step in steps:
            if step.app == "GotoIf":
                for target in step.data.rpartition("?")[2].split(":"):
                    assert target in labels, step
            elif step.app == "Goto" and "," not in step.data and step.data != "${DESK}":
                assert step.data in labels, step
    assert "DESK=desk,s,1" in {s.data for s in MAIN}
    assert MAIN[place("Goto(${DESK})") - 1].label == "desk"
    assert "Goto(s,1)" in {f"{s.app}({s.data})" for s in STEPS if s.exten == "out"}


def test_the_call_is_announced_before_it_is_answered_and_answered_before_audio() -> None:
    assert place("CURLOPT(conntimeout)=1") < place("/announce") < place("Answer()") < place("AudioSocket(")
    assert place("CURLOPT(httptimeout)=2") < place("/announce")
    assert MAIN[place("/announce") + 1].data == '$["${R}" = "ok"]?take'
    assert MAIN[place("Answer()") - 1].label == "take"
    assert MAIN[place("/answered") + 1].data == '$["${R}" != "ok"]?done'
    assert place("/answered") < place("Answer()")


def test_the_audio_may_break_without_ending_the_call() -> None:
    audio = [s for s in STEPS if "AudioSocket" in s.data]
    assert [(s.app, s.data, s.label) for s in audio] == [
        ("TryExec", "AudioSocket(${CALL},${AUDIO})", "talk"),
        ("TryExec", "AudioSocket(${LEG},${ARG3})", ""),
    ]


def test_a_transfer_rings_for_the_caller_comes_back_and_tells_how_it_ended() -> None:
    dial, warm = (s for s in STEPS if s.app == "Dial")
    # r: the caller hears ringing, and RTP keeps flowing; g: the dialplan goes on when the other side hangs up.
    assert dial.data == "${CUT(NEXT,|,2)},${CUT(NEXT,|,3)},gr"
    assert warm.data == dial.data + "U(patchcord-whisper^${CALL}^${APP}^${AUDIO})"
    assert MAIN[MAIN.index(dial) + 1].data == "moved"
    after = MAIN[MAIN.index(warm) + 1]
    assert after.label == "moved"
    assert "dialed=${DIALSTATUS}" in after.data
    assert MAIN[MAIN.index(after) + 1].data == '$["${NEXT}" = "hangup"]?done'
    assert MAIN[MAIN.index(after) + 2].data == '$["${NEXT}${DIALSTATUS}" = "ANSWER"]?done:talk'


def test_an_operator_who_declines_is_let_go_and_the_caller_goes_on() -> None:
    steps = [s for s in STEPS if s.exten == "whisper:s"]
    asked, answer = (next(i for i, s in enumerate(steps) if t in s.data) for t in ("/whisper?", "/whispered?"))
    assert steps[asked + 1].data == '$["${R}" != "ok"]?take'
    assert steps[answer + 1].data == '$["${R}" != "decline"]?take'
    assert [s.data for s in steps[answer + 2 :]] == ["GOSUB_RESULT=CONTINUE", ""]


def test_the_end_of_a_call_that_nobody_answered_is_told() -> None:
    told = [s.data for s in STEPS if s.exten == "failed"][-1]
    assert "/failed?uuid=${PATCHCORD_CALL}&reason=${REASON}" in told


def test_it_gives_up_after_five_seconds_and_not_while_told_to_come_again() -> None:
    (limit,) = [s for s in MAIN if "> 20" in s.data]
    assert limit.data.endswith("?lost")
    (told,) = [s for s in MAIN if s.label == "lost"]
    assert "/hangup?uuid=${CALL}" in told.data
    assert MAIN[MAIN.index(told) + 1].label == "desk"
    assert MAIN[MAIN.index(told) - 1].data.endswith("?done:talk"), "nobody else comes by"
    counting = MAIN[MAIN.index(limit) - 1].data
    assert counting == 'TRIES=${IF($["${NEXT}" = "again"]?0:$[${TRIES}+1])}'
    pause = next(s for s in MAIN[MAIN.index(limit) :] if s.app == "Wait")
    assert 20 * float(pause.data) <= 5


def test_who_cannot_be_held_reaches_the_desk_without_waiting() -> None:
    announced = MAIN.index(next(s for s in MAIN if "/announce" in s.data))
    assert MAIN[announced + 2].data == '$["${R}" != ""]?desk'
    (told,) = [s for s in MAIN if '"${NEXT}" = "desk"' in s.data]
    assert told.data.endswith("?desk")
    between = MAIN[place("/next?uuid=${CALL})") : MAIN.index(told)]
    assert not [s for s in between if s.app == "Wait"]
    assert MAIN.index(told) < MAIN.index(next(s for s in MAIN if "> 20" in s.data))
    desk = next(s for s in MAIN if s.label == "desk")
    assert desk.data == '$["${PATCHCORD_CALL}" != ""]?done', "whom we have rung has no desk"


def test_the_end_is_told_with_its_cause() -> None:
    (last,) = [s for s in STEPS if s.exten == "h" and s.app == "Set"]
    for told in ("/hangup", "uuid=${CALL}", "cause=${HANGUPCAUSE}", "dialed=${DIALSTATUS}"):
        assert told in last.data


def test_what_the_caller_sends_is_encoded() -> None:
    (who,) = [s for s in STEPS if "CALLERID" in s.data]
    assert (
        who.data
        == "WHO=from=${URIENCODE(${CALLERID(num)})}&did=${URIENCODE(${CALLERID(dnid)})}&channel=${URIENCODE(${UNIQUEID})}"
    )


def test_a_call_that_we_took_out_of_its_audio_asks_what_is_next() -> None:
    steps = [s for s in STEPS if s.exten == "transfer"]
    assert steps[-1].app == "Goto"
    assert steps[-1].data == "s,asked"
    assert MAIN[place("/next?uuid=${CALL})")].label == "asked"
    assert not [s for s in steps if s.data.startswith("CALL=")], "a call keeps its UUID"
    # It may come from an application that has never been in `s`.
    assert {"APP", "AUDIO", "DESK", "TRIES"} <= {s.data.partition("=")[0] for s in steps}


def test_every_question_names_the_call() -> None:
    for step in STEPS:
        for question in re.findall(r"CURL\((\$\{APP\}[^)]*)\)", step.data):
            assert "uuid=${CALL}" in question or "uuid=${PATCHCORD_CALL}" in question


def test_the_modules_that_the_dialplan_uses_are_loaded() -> None:
    modules = (FOLDER / "modules.conf").read_text("utf-8")
    used = {
        "AudioSocket(": "app_audiosocket", "CURL(": "func_curl", "URIENCODE(": "func_uri", "UUID(": "func_uuid",
        "CUT(": "func_cut", "TryExec(": "app_exec",
    }  # fmt: skip
    text = (FOLDER / "extensions.conf").read_text("utf-8")
    for function, module in used.items():
        assert function in text
        assert f"load = {module}.so" in modules
    assert "transmit_silence = yes" in (FOLDER / "asterisk.conf").read_text("utf-8")


async def test_the_copy_for_a_line_is_filled_in(services: Services, owner: Principal) -> None:
    setup = services.phone_setup
    setup._settings = setup._settings.model_copy(update={"public_url": "http://10.0.0.5:8000"})
    text = setup.dialplan(owner, "s3cret")
    steps = parsed(text)
    assert steps[0].data == "APP=http://10.0.0.5:8000/phone/s3cret"
    assert steps[1].data == "AUDIO=10.0.0.5:9092"
    ours, theirs = ([s.data for s in some[2:] if not s.data.startswith(("APP=", "AUDIO="))] for some in (steps, STEPS))
    assert ours == theirs
    assert {s.data for s in steps if s.data.startswith("AUDIO=")} == {"AUDIO=10.0.0.5:9092"}
    assert "SECRET" not in text
    assert "/phone/SECRET" in setup.dialplan(owner)
    setup._settings = setup._settings.model_copy(update={"phone_url": "http://web:80/", "phone_audio": "voice:9099"})
    assert [s.data for s in parsed(setup.dialplan(owner, "x"))[:2]] == ["APP=http://web:80/phone/x", "AUDIO=voice:9099"]
    with pytest.raises(AccessDenied):
        setup.dialplan(Principal(owner.workspace_id, None, "owner", frozenset()))
