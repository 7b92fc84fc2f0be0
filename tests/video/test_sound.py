"""The sound of results: copied or encoded, and at its place."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest

from cvunet.video.clips import VideoFormat
from cvunet.video.joining import Cut, join
from tests.video.clips_kit import MS, Clip, clip, heard, result, segments_of

pytestmark = pytest.mark.video

TIMES = tuple(range(0, 2000, 40))
LATE = tuple(range(500, 2500, 40))
SOURCES = {
    "AAC in mp4": Clip(sound="aac", times=TIMES),
    "AAC in mkv": Clip(container="matroska", sound="aac", times=TIMES),
    "FLAC in mkv": Clip(container="matroska", sound="flac", times=TIMES),
    "Opus in webm": Clip("libvpx", "webm", sound="libopus", times=TIMES),
    "PCM in avi": Clip("mpeg4", "avi", sound="pcm_s16le", times=TIMES, time_base=MS * 40),
    "MP3 in avi": Clip("mpeg4", "avi", sound="libmp3lame", times=TIMES, time_base=MS * 40),
}
DEMUXERS: dict[VideoFormat, str] = {"webm": "matroska", "mov-qtrle": "mov", "mp4": "mov"}
CODER_S = 0.03
"""By how much a codec may spread what begins suddenly."""


def codec_of(content: bytes) -> str | None:
    """Of the sound."""
    with av.open(BytesIO(content), "r") as container:
        sounds = container.streams.audio
        return sounds[0].codec_context.name if sounds else None


def first_picture_s(content: bytes) -> float:
    """When the first frame is shown, by the file's own clock."""
    with av.open(BytesIO(content), "r") as container:
        frame = next(container.decode(video=0))
        return float((frame.pts or 0) * (frame.time_base or 0))


def audible(content: bytes, demuxer: str) -> tuple[float, float]:
    """From when to when there is sound, by the file's own clock."""
    start, wave = heard(content, demuxer)
    loud = np.flatnonzero(np.abs(wave.astype(int)) > 500)
    return start + loud[0] / 48_000, start + loud[-1] / 48_000


@pytest.mark.parametrize(
    ("source", "format", "codec"),
    [
        ("AAC in mp4", "mp4", "aac"),
        ("AAC in mkv", "mov-qtrle", "aac"),
        ("AAC in mp4", "webm", "opus"),
        ("FLAC in mkv", "mp4", "aac"),
        ("Opus in webm", "webm", "opus"),
        ("PCM in avi", "mov-qtrle", "pcm_s16le"),
        ("PCM in avi", "mp4", "aac"),
        ("MP3 in avi", "mp4", "mp3float"),
    ],
)
def test_sound_is_copied_or_encoded(source: str, format: VideoFormat, codec: str):
    """Copied where the container can hold it."""
    assert codec_of(result(SOURCES[source].file(), format)) == codec


@pytest.mark.parametrize(
    ("source", "format"), [("AAC in mp4", "mp4"), ("Opus in webm", "webm"), ("AAC in mkv", "mp4")]
)
def test_copied_sound_is_the_same_to_the_bit(source: str, format: VideoFormat):
    """No generation is lost."""
    file = SOURCES[source].file()

    assert sound_packets(result(file, format)) == sound_packets(file)


def sound_packets(content: bytes) -> list[bytes]:
    """As they lie in the file."""
    with av.open(BytesIO(content), "r") as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("format", DEMUXERS)
def test_sound_stays_with_the_pictures(source: str, format: VideoFormat):
    """It begins with the first frame and ends with the last, and so it does in the result."""
    made = result(SOURCES[source].file(), format)

    begin, end = audible(made, DEMUXERS[format])
    assert first_picture_s(made) == 0
    assert begin == pytest.approx(0, abs=CODER_S)
    assert end == pytest.approx(2, abs=CODER_S)


@pytest.mark.parametrize("format", DEMUXERS)
def test_late_pictures_stay_late(format: VideoFormat):
    """Half a second of sound before the first frame is not lost, nor moved."""
    made = result(Clip(sound="aac", times=LATE).file(), format)

    assert first_picture_s(made) == pytest.approx(0.5, abs=0.001)
    assert audible(made, DEMUXERS[format])[0] == pytest.approx(0, abs=CODER_S)


@pytest.mark.parametrize("format", DEMUXERS)
def test_late_sound_stays_late(format: VideoFormat):
    """The music begins after half a second."""
    made = result(Clip(sound="aac", sound_start_s=0.5, times=TIMES).file(), format)

    assert first_picture_s(made) == 0
    assert audible(made, DEMUXERS[format])[0] == pytest.approx(0.5, abs=CODER_S)


@pytest.mark.parametrize("source", ["AAC in mp4", "Opus in webm"])
@pytest.mark.parametrize("format", DEMUXERS)
def test_part_of_a_clip_has_its_part_of_the_sound(source: str, format: VideoFormat):
    """From 0.48 s to 1.2 s, whether copied or encoded; a copy begins with a whole packet."""
    file = SOURCES[source].file()
    reader = clip(file)
    base = reader.facts.time_base
    kept = [one for one in reader.frames() if 0.48 <= one.pts * base < 1.2]
    frames = [replace(one, index=n, pts=one.pts - kept[0].pts) for n, one in enumerate(kept)]

    made = result(file, format, cut=Cut(0.48, 1.2), frames=frames)

    begin, end = audible(made, DEMUXERS[format])
    assert (len(kept), first_picture_s(made)) == (18, 0)
    assert begin == pytest.approx(0, abs=CODER_S)
    assert end == pytest.approx(0.72, abs=CODER_S)


@pytest.mark.parametrize("format", DEMUXERS)
def test_sound_ends_with_the_last_good_frame(format: VideoFormat):
    """A clip that is damaged after a second; what comes before its first frame stays."""
    file = Clip(sound="aac", times=LATE).file()
    reader = clip(file)
    frames = [one for one in reader.frames() if one.pts * reader.facts.time_base < 1]

    made = result(file, format, cut=Cut(0, 1), frames=frames)

    begin, end = audible(made, DEMUXERS[format])
    assert first_picture_s(made) == pytest.approx(0.5, abs=0.001)
    assert begin == pytest.approx(0, abs=CODER_S)
    assert end == pytest.approx(1.5, abs=CODER_S)


@pytest.mark.parametrize("format", ["apng", "webp", "alpha", "png-sequence"])
def test_formats_of_pictures_have_no_sound(format: VideoFormat):
    """And do not fail because of it."""
    made = result(SOURCES["AAC in mp4"].file(), format)

    assert made
    if format == "alpha":
        assert codec_of(made) is None


def test_gap_in_the_sound_stays_a_gap():
    """A recorder lost half a second; what follows is not heard too early."""
    made = result(with_gap(), "webm")

    _, wave = heard(made, "matroska")
    loud = np.abs(wave.astype(int)).reshape(-1, 480).max(axis=1) > 500  # by 10 ms
    assert loud[:48].mean() > 0.9
    assert loud[55:95].mean() < 0.1
    assert loud[105:145].mean() > 0.9


def with_gap() -> bytes:
    """A second and a half of FLAC, without the middle."""
    source = Clip(container="matroska", sound="flac", times=TIMES).file()
    out = BytesIO()
    with av.open(BytesIO(source), "r") as given, av.open(out, "w", format="matroska") as made:
        streams: dict[int, Any] = {
            one.index: made.add_stream_from_template(one, opaque=True) for one in given.streams
        }
        for packet in given.demux():
            time = float((packet.pts or 0) * (packet.time_base or 0))
            if not packet.size or (packet.stream.type == "audio" and 0.5 <= time < 1):
                continue
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
    return out.getvalue()


def test_damaged_sound_becomes_silence():
    """The pictures are good: the clip is not refused, and a person is told."""
    file = bytearray(Clip(sound="aac", times=TIMES).file())
    packets = sound_packets(bytes(file))
    for packet in packets[20:30]:
        at = file.index(packet)
        file[at : at + len(packet)] = b"\xff" * len(packet)
    reader, out = clip(bytes(file)), BytesIO()

    segments = segments_of(reader, "webm")
    said = join(segments, out, format="webm", facts=reader.facts, sound_from=reader)

    assert [one for one in said if "damaged" in one]
    assert audible(out.getvalue(), "matroska")[1] == pytest.approx(2, abs=CODER_S)


def test_unreadable_sound_is_left_out():
    """Its header is damaged: the pictures are good, and a person is told."""
    file = bytearray(Clip(container="matroska", sound="flac", times=TIMES).file())
    at = file.index(b"fLaC") + 8
    file[at : at + 34] = bytes(34)
    for packet in sound_packets(Clip(container="matroska", sound="flac", times=TIMES).file()):
        where = file.index(packet)
        file[where : where + len(packet)] = b"\x55" * len(packet)
    reader, out = clip(bytes(file)), BytesIO()

    said = join(
        segments_of(reader, "mp4"), out, format="mp4", facts=reader.facts, sound_from=reader
    )

    assert [one for one in said if "sound" in one]
    assert len(list(clip(out.getvalue()).frames())) == len(TIMES)


@pytest.mark.parametrize("format", DEMUXERS)
def test_full_disk_is_not_the_clips_fault(format: VideoFormat):
    """`OSError` passes, whether it is the sound's turn or the pictures'."""

    class Full(BytesIO):
        def write(self, content: Any, /) -> int:
            if self.tell() > 2000:
                raise OSError(28, "No space left on device")
            return super().write(content)

    reader = clip(SOURCES["AAC in mp4"].file())

    with pytest.raises(OSError, match="No space"):
        join(
            segments_of(reader, format),
            Full(),
            format=format,
            facts=reader.facts,
            sound_from=reader,
        )
