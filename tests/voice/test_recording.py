"""A stereo file that lies beside what was said, and is whole at any time."""

import threading
import wave
from pathlib import Path

import numpy as np

from tests.voice.machines import tone
from voice.frames import PHONE
from voice.recording import Recorder


def sides(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return both[:, 0].tobytes(), both[:, 1].tobytes()


def test_the_caller_is_left_and_we_are_right(tmp_path: Path) -> None:
    recorder = Recorder()
    path = tmp_path / "calls" / "one.wav"
    recording = recorder.open(path, PHONE)
    caller, ours = tone(2030, hz=300), tone(2040, hz=700)
    for at in range(0, len(ours), 320):
        recording.heard(caller[at : at + 320])
        recording.sent(ours[at : at + 320])
    recording.sent(None)
    recording.close()
    recorder.close()
    left, right = sides(path)
    assert left == caller.ljust(len(ours) + 320, b"\0")
    assert right == ours + bytes(320)


def test_audio_late_by_a_frame_and_in_odd_pieces_is_kept(tmp_path: Path) -> None:
    recorder = Recorder()
    recording = recorder.open(tmp_path / "a.wav", PHONE)
    caller = tone(400)
    recording.sent(None)
    for at in range(0, len(caller), 500):
        recording.heard(caller[at : at + 500])
        recording.sent(None)
        recording.sent(None)
    recording.close()
    recorder.close()
    left, _ = sides(tmp_path / "a.wav")
    assert left.replace(b"\0\0", b"") == caller.replace(b"\0\0", b"")


def test_what_arrives_after_a_standstill_is_cut_to_half_a_second(tmp_path: Path) -> None:
    recorder = Recorder()
    recording = recorder.open(tmp_path / "a.wav", PHONE)
    caller = tone(20_000)
    recording.heard(caller)
    for _ in range(30):
        recording.sent(None)
    recording.close()
    recorder.close()
    left, _ = sides(tmp_path / "a.wav")
    assert left == caller[-25 * 320 :] + bytes(5 * 320)


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    recorder = Recorder()
    recording = recorder.open(tmp_path / "a.wav", PHONE)
    for _ in range(149):
        recording.sent(tone(20))
    recorder.close()
    assert len(sides(tmp_path / "a.wav")[1]) == 100 * 320


def test_a_disk_that_stalls_costs_seconds_of_the_recording_and_nobody_waits(tmp_path: Path) -> None:
    recorder = Recorder(most_waiting=2)
    stalled, go_on = threading.Event(), threading.Event()
    recording = recorder.open(tmp_path / "a.wav", PHONE)
    write = recording.write

    def slow(left: bytes, right: bytes) -> None:
        stalled.set()
        go_on.wait(10)
        write(left, right)

    recording.write = slow  # type: ignore[method-assign]
    for second in range(6):
        for _ in range(50):
            recording.sent(tone(20))
        if second == 0:
            assert stalled.wait(10)
    assert recorder.dropped_blocks == 3
    go_on.set()
    recorder.close()
    assert len(sides(tmp_path / "a.wav")[1]) == 3 * 50 * 320


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recorder = Recorder()
    bad, good = recorder.open(tmp_path / "file" / "a.wav", PHONE), recorder.open(tmp_path / "b.wav", PHONE)
    for recording in (bad, good):
        recording.sent(tone(20))
        recording.close()
    recorder.close()
    assert list(recorder.failed) == [tmp_path / "file" / "a.wav"]
    assert sides(tmp_path / "b.wav")[1] == tone(20)
