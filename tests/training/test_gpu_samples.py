"""Samples that are made in batches."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cvunet.errors import TrainingError
from cvunet.training import augment, composites, samples
from cvunet.training.gpu import batches, contrast, filters, roster, views, warps, windows
from cvunet.training.gpu.batches import Sampler
from cvunet.training.gpu.gallery import Gallery
from cvunet.training.gpu.plans import Hidden, Low
from cvunet.training.recipe import Augmentation, Mixture
from tests.training import gpu_kit, training_kit


def smooth(height: int, width: int) -> np.ndarray:
    """A picture HxWx4 without noise, opaque."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(rows / a + columns / b) for a, b in ((9, 7), (5, 11), (13, 6))]
    return np.dstack([*waves, np.full((height, width), 255)]).astype(np.uint8)


def whole_view(gallery: Gallery, size: int) -> views.Views:
    """Picture 0 squeezed to the square."""
    numbers = np.array([0])
    known = windows.subjects(gallery, numbers)
    return views.through(
        numbers,
        windows.whole(known),
        size=size,
        is_flipped=np.array([False]),
        degrees=np.zeros(1),
    )


@pytest.mark.parametrize("size", [32, 64, 96, 160])
def test_seen_as_resized(size: int):
    """A whole picture in the square is the picture resized, larger or smaller."""
    picture = smooth(96, 128)
    gallery = gpu_kit.hang(picture)
    seen = warps.see(gallery, whole_view(gallery, size), size)[0].permute(1, 2, 0).numpy()
    expected = augment.resize(picture, width=size, height=size) / 255

    assert float(np.abs(seen - expected).mean()) < 0.02


def test_cutout_fades_at_its_border_as_opencv_does():
    """Outside of a cut-out there is nothing; on its border it fades over one pixel."""
    cutout = np.full((20, 30, 4), 200, np.uint8)
    gallery = gpu_kit.hang(cutout)
    matrix = views.moving(np.array([-10.3]), np.array([-12.6]))
    seen = warps.see_cutouts(gallery, views.to_views(np.array([0]), matrix), 64)
    forth = np.array([[1, 0, 10.3], [0, 1, 12.6]])
    expected = cv2.warpAffine(cutout, forth, (64, 64), flags=cv2.INTER_LINEAR)

    assert float(np.abs(seen[0, 3].numpy() - expected[..., 3] / 255).max()) < 0.02


def test_masks_lie_on_their_subjects():
    """Windows, flips and turns move photo and mask alike: the bright disc is the subject."""
    changes = Augmentation(crop=0.4, zoom=0.1, leaves=0.4, rotate=0.5, wear=0)
    made = gpu_kit.batch(count=32, mixture=gpu_kit.SALIENT, augmentation=changes)
    brightness = made.rgb.mean(1, keepdim=True)
    inside, outside = made.alpha > 0.95, made.alpha < 0.05

    assert float(brightness[inside].mean()) > 0.8
    assert float((brightness[inside] > 0.6).float().mean()) > 0.98
    assert float((brightness[outside] < 0.35).float().mean()) > 0.98


def test_same_seed_same_samples():
    """Batch n is the same in two runs; batch n + 1 is another one."""
    first, again, other = gpu_kit.batch(5), gpu_kit.batch(5), gpu_kit.batch(6)

    assert all(map(torch.equal, gpu_kit.tensors(first), gpu_kit.tensors(again)))
    assert not torch.equal(first.rgb, other.rgb)


@pytest.mark.parametrize("number", range(4))
def test_everything_stays_in_range(number: int):
    """With every change at once, all is finite and in [0, 1]."""
    made = gpu_kit.batch(number, count=16)

    for name in ("rgb", "alpha", "contrast", "known"):
        values = getattr(made, name)
        assert bool(torch.isfinite(values).all()), name
        assert float(values.min()) >= 0, name
        assert float(values.max()) <= 1 + 1e-5, name


def test_a_parcel_holds_the_plan():
    """What arrives on a device is what was sent, whatever its types."""
    plan = gpu_kit.planner().plan(1, count=8, size=64)
    arrived = batches.send(plan, gpu_kit.CPU)
    pairs = list(zip(batches.tensors_of(plan), batches.tensors_of(arrived), strict=True))

    assert len(pairs) > 80
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)
    assert arrived.size == plan.size


@pytest.mark.parametrize("number", range(4))
def test_no_number_comes_back(number: int):
    """The CPU never waits for the device: a device without numbers can carry out every plan."""
    gallery = gpu_kit.rosters()[0].gallery
    bodiless = dataclasses.replace(
        gallery,
        **{name: getattr(gallery, name).to("meta") for name in ("pixels", "starts", "sides")},
    )
    plan = gpu_kit.planner().plan(number, count=24, size=64)
    made = Sampler(bodiless, seed=1).make(plan)

    assert made.rgb.device.type == "meta"
    assert (made.rgb.shape, made.known.shape) == ((24, 3, 64, 64), (24, 1, 64, 64))


def test_rims_of_hard_masks_do_not_count():
    """Only there, and only where the mask is hard."""
    made = gpu_kit.batch(mixture=gpu_kit.SALIENT, augmentation=gpu_kit.NOTHING)
    unknown = made.known == 0
    step = (made.alpha - made.alpha.roll(1, 3)).abs() > 0.5

    assert not bool(made.is_soft.any())
    assert bool(unknown[step].all())
    assert float(unknown.float().mean()) < 0.2
    soft = gpu_kit.batch(mixture=Mixture(0, 1, 1, 1), augmentation=gpu_kit.NOTHING)
    assert bool(soft.is_soft.all())
    assert bool((soft.known == 1).all())


def test_composites_know_their_contrast():
    """It is the difference of the colours, where there is a subject, and 0 elsewhere."""
    made = gpu_kit.batch(mixture=Mixture(0, 0, 1, 0), augmentation=gpu_kit.NOTHING)

    assert float(made.alpha.mean()) > 0.02
    assert bool((made.contrast[made.alpha == 0] == 0).all())
    assert float(made.contrast[made.alpha > 0.9].mean()) > 0.05


def test_empty_pictures_have_no_subject():
    """Letters on them change nothing."""
    made = gpu_kit.batch(mixture=Mixture(0, 0, 0, 1), augmentation=gpu_kit.EVERYTHING)

    assert float(made.alpha.max()) == 0


@pytest.mark.parametrize("is_near", [True, False])
def test_low_contrast_is_low(is_near: bool):
    """The background takes the colours of the subject's outline, a little brighter as asked."""
    alpha = torch.zeros(1, 1, 64, 64)
    alpha[..., 16:48, 20:44] = 1
    colour = torch.tensor([0.7, 0.2, 0.4])[None, :, None, None]
    ground = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.5
    plan = Low(
        places=torch.tensor([0]),
        dark=torch.tensor([2.0]),
        bright=torch.tensor([-1.0]),
        is_near=torch.tensor([is_near]),
        spread=torch.ones(1),
        sign=torch.ones(1),
        offset=torch.tensor([0.05]),
        tint=torch.zeros(1, 3),
    )
    layer = torch.cat([colour * alpha, alpha], 1)
    same, painted = contrast.lower(layer, ground, plan)

    assert torch.allclose(same, layer, atol=1e-6)
    assert torch.allclose(painted, (colour + 0.05).expand_as(painted), atol=2e-3)


def test_leaving_windows_cut_the_subject():
    """What is inside by the table is inside by the pixels: a part of the subject, as asked for."""
    picture = np.zeros((240, 320, 4), np.uint8)
    cv2.ellipse(picture, (150, 130), (60, 90), 20, 0, 360, (255, 255, 255, 255), -1)
    known = windows.subjects(gpu_kit.hang(picture), np.zeros(60, np.int64))
    drawn = windows.leaving(np.random.default_rng(1), known)
    subject = picture[..., 3].astype(np.float64)
    kept = []
    for top, left, height, width in np.array(drawn.fields()).T:
        rows, columns = (
            slice(round(top), round(top + height)),
            slice(round(left), round(left + width)),
        )
        kept.append(subject[rows, columns].sum() / subject.sum())

    assert min(kept) > 0.17
    assert max(kept) < 0.93
    assert float(np.std(kept)) > 0.1


@pytest.mark.parametrize("kind", ["mosaic", "blur", "bar"])
def test_only_the_box_is_hidden(kind: str):
    """Its inside changes, and nothing else does."""
    gallery = gpu_kit.hang(smooth(64, 64))
    view = whole_view(gallery, 64)
    seen = warps.see(gallery, view, 64)
    hidden = Hidden(
        places=torch.tensor([0]),
        box=torch.tensor([[16.0, 24.0, 20.0, 12.0]]),
        cell=torch.tensor([6.0 if kind == "mosaic" else 0.0]),
        level=torch.tensor([4]),
        colour=torch.tensor([[1.0, 0.0, 0.0] if kind == "bar" else [-1.0] * 3]),
    )
    before = seen.clone()
    warps.hide(gallery, seen, view, hidden)
    change = (before - seen).abs()[0, :3].amax(0)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[16:36, 24:36] = True

    assert float(change[inside].mean()) > 0.03
    assert float(change[~inside].max()) == 0


@pytest.mark.parametrize("deviation", [0.4, 1.0, 3.0])
def test_gaussian_is_opencvs(deviation: float):
    """Up to a thousandth."""
    picture = composites.to_unit(smooth(64, 80)[..., :3])
    made = filters.gaussian(
        torch.from_numpy(picture).permute(2, 0, 1)[None],
        torch.tensor([deviation]),
        most=deviation * 1.2,
    )
    expected = cv2.GaussianBlur(picture, (0, 0), deviation)

    assert float(np.abs(made[0].permute(1, 2, 0).numpy() - expected).max()) < 5e-3


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_loses_what_jpeg_loses(quality: int):
    """The picture differs little from what OpenCV's JPEG gives, less than from the original."""
    rng = np.random.default_rng(1)
    picture = smooth(64, 64)[..., :3] // 2 + rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
    image = torch.from_numpy(composites.to_unit(picture)).permute(2, 0, 1)[None]
    made = filters.compress(image, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy()
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", picture[..., ::-1], settings)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    expected = decoded[..., ::-1] / 255
    loss = float(np.abs(picture / 255 - expected).mean())

    assert float(np.abs(made - expected).mean()) < 0.35 * loss


def test_people_have_a_twin_with_hair(tmp_path: Path):
    """It is the same person with something more around the head, and drawn for no other reason."""
    training_kit.write_shards(tmp_path)
    person = {"ccp_people__0.webp": training_kit.encoded(training_kit.cutout(), ".webp")}
    training_kit.write_shard(tmp_path / "foregrounds-train-00.tar", person)
    every, _ = roster.assemble(
        samples.open_sources(tmp_path, "train"),
        gpu_kit.recipe(foreground_weights={"ccp_people": 1.0}),
        device=gpu_kit.CPU,
        letterings=1,
        reserve_bytes=0,
    )
    number = int(every.foregrounds.numbers[0])
    twin = int(every.with_hair[number])
    areas = every.gallery.sums[:, -1, -1] * every.gallery.sizes.prod(1)

    assert list(every.foregrounds.numbers) == [number]
    assert bool(every.is_person[number])
    assert twin != number
    assert areas[twin] > areas[number]


def test_bad_members_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A few are named and skipped; that the whole shard is bad stops the run."""
    training_kit.write_shards(tmp_path)
    good = training_kit.encoded(smooth(48, 48)[..., :3], ".webp")

    def pictures(bad: int) -> roster.Roster:
        named = {f"clean__{n}.webp": b"rubbish" if n < bad else good for n in range(40)}
        training_kit.write_shard(tmp_path / "backgrounds-train-00.tar", named)
        return roster.assemble(
            samples.open_sources(tmp_path, "train"),
            gpu_kit.recipe(),
            device=gpu_kit.CPU,
            letterings=1,
            reserve_bytes=0,
        )[0]

    assert len(pictures(3).backgrounds.numbers) == 37
    assert "clean__1.webp" in caplog.text
    with pytest.raises(TrainingError, match="39 of"):
        pictures(39)


def test_too_little_memory_is_said_at_once():
    """With the numbers, before anything is decoded."""
    entries = [roster.Entry(lambda: smooth(64, 64), "salient", 1.0)]

    with pytest.raises(TrainingError, match=r"cpu has .* GB of memory free, the run needs"):
        roster.check_memory(entries, gpu_kit.CPU, reserve_bytes=10**15)
