"""The network's size, shapes and the encoder's arithmetic."""

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cvunet.network.encoder import MobileNetV3, make_divisible
from cvunet.network.network import CVUNet, NetworkConfig

REFINED = NetworkConfig(trunk_scale=0.625, refine_channels=16)
GROWN = NetworkConfig(
    aspp_channels=160,
    decoder_channels=(160, 96, 48, 32),
    trunk_scale=0.875,
    refine_channels=16,
    has_encoder_norms=True,
    expansion_channels=480,
    attention_blocks=2,
    is_guided=True,
)


@pytest.fixture(
    scope="module", params=[NetworkConfig(), REFINED, GROWN], ids=["plain", "refined", "grown"]
)
def model(request: pytest.FixtureRequest) -> CVUNet:
    torch.manual_seed(0)
    return CVUNet(request.param).eval()


def test_parameters_are_few(model: CVUNet):
    """At most five million."""
    assert sum(parameter.numel() for parameter in model.parameters()) <= 5_000_000


def multiply_adds(config: NetworkConfig) -> float:
    """Of one 512x512 picture; counted, not computed."""
    with torch.device("meta"):
        model, image = CVUNet(config).eval(), torch.zeros(1, 3, 512, 512)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(image)
    return float(counter.get_total_flops()) / 2


def test_a_picture_is_cheap():
    """At most four thousand million multiply-adds, also with every option."""
    assert 1e9 < multiply_adds(NetworkConfig()) <= 4e9
    assert 2.7e9 < multiply_adds(GROWN) <= 4e9


def test_a_smaller_trunk_is_cheaper_by_half():
    """Although the refinement sees every pixel."""
    assert multiply_adds(REFINED) < 0.55 * multiply_adds(NetworkConfig())


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 32), (3, 64, 96), (2, 160, 32)])
def test_one_logit_per_pixel(model: CVUNet, batch: int, height: int, width: int):
    """Any batch, any sides that are multiples of 32, square or not."""
    with torch.inference_mode():
        logits = model(torch.zeros(batch, 3, height, width))

    assert logits.shape == (batch, 1, height, width)


def test_pictures_of_a_batch_do_not_meet(model: CVUNet):
    """A picture's answer is the same alone and in company."""
    torch.manual_seed(1)
    images = torch.rand(3, 3, 64, 64) * 2 - 1

    with torch.inference_mode():
        together, alone = model(images)[1], model(images[1:2])[0]

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_supervised_forward_agrees(model: CVUNet):
    """Training's logits are inference's; the auxiliary ones have a sixteenth of the side."""
    image = torch.rand(1, 3, 64, 96) * 2 - 1

    with torch.inference_mode():
        expected, (logits, coarse) = model(image), model.forward_supervised(image)

    torch.testing.assert_close(logits, expected)
    assert coarse.shape == (1, 1, *(side // 16 for side in model.shrink(image).shape[2:]))


def test_decoded_maps_have_halving_strides(model: CVUNet):
    """The decoder's maps lie at strides 16, 8, 4 and 2 of what the trunk sees."""
    image = torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        maps = model.decode(image)

    side = image.shape[-1]
    assert [side // x.shape[-1] for x in maps] == [16, 8, 4, 2]


def test_attention_and_guides_change_nothing_before_training():
    """So training starts from the output of the older weights."""
    torch.manual_seed(0)
    plain = CVUNet(NetworkConfig(aspp_channels=32, decoder_channels=(16, 16, 8, 8))).eval()
    more = CVUNet(
        NetworkConfig(
            aspp_channels=32,
            decoder_channels=(16, 16, 8, 8),
            attention_blocks=2,
            is_guided=True,
        )
    ).eval()
    unknown = more.load_state_dict(plain.state_dict(), strict=False)
    image = torch.rand(1, 3, 64, 96) * 2 - 1

    with torch.inference_mode():
        expected, actual = plain(image), more(image)

    assert torch.equal(expected, actual)
    assert all(name.startswith("attention.") or ".guide." in name for name in unknown.missing_keys)


def test_a_guide_reaches_every_stage_but_the_first():
    """The first has the deepest map as its input."""
    model = CVUNet(GROWN)

    assert [stage.guide is None for stage in model.decoder.stages] == [True, False, False, False]


@pytest.mark.parametrize(("side", "expected"), [(512, 320), (416, 256), (64, 32), (32, 32)])
def test_the_trunks_copy_has_sides_that_it_can_halve(side: int, expected: int):
    """Multiples of 32, never none."""
    shrunk = CVUNet(REFINED).shrink(torch.zeros(1, 3, side, side))

    assert shrunk.shape == (1, 3, expected, expected)


def test_an_untrained_refinement_changes_nothing():
    """Training goes on from the trunk's own answer; a trained one sees single pixels."""
    torch.manual_seed(0)
    model = CVUNet(NetworkConfig(refine_channels=8)).eval()
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        answer = model(image)
        trunk = functional.pixel_shuffle(model.head(model.decode(image)[-1]), 2)
        assert model.refine is not None
        torch.nn.init.normal_(model.refine.head.weight)
        torch.testing.assert_close(answer, trunk)
        assert not torch.allclose(model(image), trunk)


@torch.inference_mode()
def test_logits_of_a_smaller_trunk_without_refinement_are_enlarged():
    """Edges are drawn from the photo later."""
    model = CVUNet(NetworkConfig(trunk_scale=0.5)).eval()
    image = torch.rand(1, 3, 128, 128) * 2 - 1
    small = model.unfold_logits(model.decode(model.shrink(image))[-1])
    wanted = functional.interpolate(small, size=(128, 128), mode="bilinear", align_corners=False)

    torch.testing.assert_close(model(image), wanted)


@pytest.mark.parametrize("width", [0.5, 0.75, 1.0])
def test_encoder_strides(width: float):
    """Five maps, finest first, with the channels that the encoder promises."""
    encoder = MobileNetV3(width)

    with torch.inference_mode():
        maps = encoder(torch.zeros(1, 3, 64, 64))

    assert [64 // x.shape[-1] for x in maps] == [2, 4, 8, 16, 32]
    assert [x.shape[1] for x in maps] == encoder.out_channels


def test_encoder_of_full_width_is_the_papers():
    """MobileNetV3-Large, table 1: 16, 24, 40, 112 and 160 channels at the ends of the strides."""
    assert MobileNetV3(1.0).out_channels == [16, 24, 40, 112, 160]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (12, 16), (16, 16), (18, 24), (30, 32), (84, 88), (120, 120), (11.9, 16)],
)
def test_make_divisible(channels: float, expected: int):
    """Multiples of eight, never more than a tenth below what was asked for."""
    assert make_divisible(channels) == expected
