"""The pipeline of frames: errors, cancellation, memory, backdrops."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from cvunet.errors import ClipDamagedError, DeviceError
from cvunet.inference.matting import FinishSettings
from cvunet.video.clips import Frame
from cvunet.video.pipeline import ClipRendering, CutFrame, cut_segment
from cvunet.video.stages import Cancelled
from cvunet.video.steadying import Steady
from tests.video.moving_disc import SMALL, find_red, frame, moving, rendering, results


class CountedFrames:
    """Frames that know how many of them are still in use."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0
        self.written = 0
        self.most = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            self.made += 1
            self.most = max(self.most, self.made - self.written)
            yield frame(index, x=15 + index % 60)


def cut(frames, *, predict=find_red, write=lambda made: None, **changes):
    """A whole clip."""
    return cut_segment(
        frames,
        first=0,
        count=10**6,
        predict=predict,
        rendering=rendering(2),
        write=write,
        **changes,
    )


def test_frames_under_way_do_not_grow_with_the_clip():
    """Decoding waits for the slowest step: memory is bounded whatever the length."""
    most = []
    for count in (60, 240):
        frames = CountedFrames(count)

        def write(made: CutFrame, frames: CountedFrames = frames) -> None:
            frames.written += 1

        cut(frames, write=write)
        assert frames.written == count
        most.append(frames.most)

    assert max(most) <= 40


@pytest.mark.parametrize("step", ["frames", "predict", "write", "backdrop"])
def test_an_error_of_any_step_ends_all_threads(step: str):
    """It comes out as it is, and no thread is left."""

    def fail(at: str) -> None:
        if step == at:
            raise DeviceError(step)

    def frames() -> Iterator[Frame]:
        for index in range(200):
            if index == 20:
                fail("frames")
            yield frame(index, x=20 + index % 50)

    def predict(pictures):
        fail("predict")
        return find_red(pictures)

    def backdrop(frame: Frame) -> tuple[int, int, int]:
        fail("backdrop")
        return 0, 0, 0

    before = threading.active_count()
    how = ClipRendering(FinishSettings(), Steady(2), backdrop, prepare=SMALL)
    with pytest.raises(DeviceError, match=step):
        cut_segment(
            frames(),
            first=0,
            count=200,
            predict=predict,
            rendering=how,
            write=lambda *_: fail("write"),
        )

    assert threading.active_count() == before


def test_cancelled_from_another_thread():
    """It ends at once, long before the clip does."""
    cancelled = threading.Event()
    written = []

    def write(made: CutFrame) -> None:
        written.append(made.frame.index)
        if len(written) == 5:
            cancelled.set()

    before = threading.active_count()
    with pytest.raises(Cancelled):
        cut(CountedFrames(10_000), write=write, cancelled=cancelled)

    assert len(written) == 5
    assert threading.active_count() == before


def damaged(good: int) -> Iterator[Frame]:
    """A clip that cannot be decoded further."""
    yield from moving(good)
    raise ClipDamagedError("frame 12 is damaged", frames=good, seconds=0.5)


def test_a_damaged_clip_comes_out_up_to_there():
    """All good frames are written before the error is told."""
    written: list[int] = []

    with pytest.raises(ClipDamagedError):
        cut(damaged(12), write=lambda made: written.append(made.frame.index))

    assert written == list(range(12))


def test_damage_behind_a_segment_is_not_its_trouble():
    """The segment that meets it tells it."""
    found = cut_segment(
        damaged(12),
        first=0,
        count=8,
        predict=find_red,
        rendering=rendering(2),
        write=lambda made: None,
    )

    assert found == 8


def test_no_more_frames_are_taken_than_needed():
    """Those behind the lead are not even decoded."""
    frames = CountedFrames(500)
    cut_segment(
        frames,
        first=0,
        count=8,
        predict=find_red,
        rendering=rendering(2),
        write=lambda made: None,
    )

    assert frames.made == 8 + rendering(2).lead


def test_kinds_of_results():
    """RGBA, alpha alone, and RGB on a colour or on a picture."""
    frames = moving(3)
    picture = np.full((64, 96, 3), 7, np.uint8)

    def made(how: ClipRendering) -> np.ndarray:
        return results(frames, how)[1]

    rgba = made(ClipRendering(prepare=SMALL))
    alpha = made(ClipRendering(FinishSettings(content="alpha"), prepare=SMALL))
    colour = made(ClipRendering(backdrop=lambda frame: (1, 2, 3), prepare=SMALL))
    behind = made(ClipRendering(backdrop=lambda frame: picture, prepare=SMALL))

    assert np.array_equal(rgba[..., 3], alpha)
    assert colour[0, 0].tolist() == [1, 2, 3]
    assert behind[0, 0].tolist() == [7, 7, 7]
    assert alpha[32, 16] == 255
    assert rgba[0, 0].tolist() == [0, 0, 0, 0]


def test_sixteen_bits():
    """Deep clips keep their depth."""
    frames = [
        Frame(each.index, each.pts, 1, each.rgb.astype(np.uint16) * 257) for each in moving(3)
    ]

    pixels = results(frames, ClipRendering(prepare=SMALL))

    assert pixels[0].dtype == np.uint16
    assert pixels[0][32, 15, 3] == 65535
