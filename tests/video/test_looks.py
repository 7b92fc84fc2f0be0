"""Where the network looks closely, and which parts of a clip it is asked about."""

import cv2
import numpy as np
import pytest

from cvunet.video.clips import Frame
from cvunet.video.close_up import WHOLE, Box, close_box, reaches_out, subject_box
from cvunet.video.looks import EVERY, Eyes, close_looks
from cvunet.video.shots import shots
from tests.video.moving_disc import HEIGHT, SMALL, WIDTH, find_red, frame, moving


def looks(frames):
    """Close looks at all frames."""
    eyes = Eyes(find_red, prepare=SMALL)
    return list(close_looks(shots(frames, end=len(frames)), eyes, wanted=range(len(frames))))


def red_in(view, frame: Frame) -> float:
    """The share of the red pixels that lie in the view's box."""
    is_red = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 100
    return float(is_red[view.box.window(WIDTH, HEIGHT)].sum() / is_red.sum())


@pytest.mark.parametrize("step", [0.2, 1.5, 4.0])
def test_the_subject_of_each_frame_is_in_its_box(step: float):
    """However fast it moves."""
    frames = moving(18, step=step)

    found = looks(frames)

    assert [look.shot.frame.index for look in found] == list(range(18))
    assert all(red_in(look.view, look.shot.frame) == 1 for look in found)
    assert min(look.view.box.area for look in found) < 0.6


def test_a_subject_that_jumps_out_and_back():
    """Between two key frames it is where neither of them has it: it gets a look of its own."""
    frames = [frame(k, x=20) for k in range(2 * EVERY + 1)]
    frames[3] = frame(3, x=24, radius=24)

    found = looks(frames)

    assert red_in(found[3].view, frames[3]) == 1
    assert found[3].view.box.area > found[2].view.box.area


def test_a_subject_that_comes():
    """While it is not there, and on its way, the whole is looked at."""
    empty = [Frame(each.index, each.pts, 1, np.full_like(each.rgb, 90)) for each in moving(8)]
    found = looks([*empty, *moving(9, first=8)])

    assert {look.view.box for look in found[:8]} == {WHOLE}


def test_boxes_do_not_follow_small_motion():
    """Another box is another sampling, which would be seen as a flicker."""
    frames = [frame(k, x=40 + 0.2 * np.sin(k)) for k in range(3 * EVERY)]

    assert len({look.view.box for look in looks(frames)}) == 1


def test_boxes():
    """The margin, the least size, and the whole frame where a box would gain nothing."""
    alpha = np.zeros((64, 64), np.float32)
    assert subject_box(alpha) is None
    assert close_box([None]) == WHOLE
    cv2.rectangle(alpha, (20, 20), (43, 43), 1.0, -1)
    subject = subject_box(alpha)
    assert subject == Box(20 / 64, 20 / 64, 44 / 64, 44 / 64)
    around = close_box([subject])
    assert around.left < subject.left - 0.04
    assert around.bottom > subject.bottom + 0.04
    tiny = close_box([Box(0.5, 0.5, 0.51, 0.51)])
    assert tiny.right - tiny.left >= 0.25
    assert close_box([Box(0.01, 0, 0.98, 1)]) == WHOLE
    assert close_box([subject, None]) == WHOLE


def test_reaching_out_counts_only_inside_the_frame():
    """A subject may well touch the border of the frame itself."""
    alpha = np.zeros((8, 8), np.float32)
    alpha[-1] = 1

    assert reaches_out(alpha, Box(0, 0, 1, 0.9))
    assert not reaches_out(alpha, Box(0, 0.1, 1, 1.0))
