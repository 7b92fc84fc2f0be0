"""BatchNorm is put into the encoder, and folded again for inference."""

from copy import deepcopy

import pytest
import torch

from cvunet.network.encoder import MobileNetV3, SameConv
from cvunet.network.folding import fold_for_inference
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import normalise


@pytest.fixture
def images() -> list[torch.Tensor]:
    """A few pictures."""
    torch.manual_seed(2)
    return [torch.rand(1, 3, 64, 64) * 2 - 1 for _ in range(4)]


def test_a_calibrated_encoder_answers_as_before(images: list[torch.Tensor]) -> None:
    """Its statistics come from the pictures; scale and shift reverse them."""
    torch.manual_seed(0)
    plain = MobileNetV3(0.5, expansion_channels=24).eval()
    normed = MobileNetV3(0.5, expansion_channels=24, has_norms=True)
    normed.load_state_dict(plain.state_dict(), strict=False)

    normalise.calibrate(normed, images)

    normed.eval()
    with torch.inference_mode():
        for ours, theirs in zip(normed(images[0]), plain(images[0]), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_calibration_makes_each_channel_vary_by_one(images: list[torch.Tensor]) -> None:
    """Before its norm, so that all channels learn equally."""
    torch.manual_seed(0)
    encoder = MobileNetV3(0.5, has_norms=True)
    normalise.calibrate(encoder, images)
    answers: list[torch.Tensor] = []
    hook = encoder.stem.norm.register_forward_pre_hook(lambda _, inputs: answers.append(inputs[0]))
    encoder.eval()

    with torch.inference_mode():
        for image in images:
            encoder(image)
    hook.remove()

    spread = torch.cat(answers).std((0, 2, 3))
    torch.testing.assert_close(spread, torch.ones_like(spread), atol=0.02, rtol=0.02)


def test_an_encoder_without_norms_is_left_alone(images: list[torch.Tensor]) -> None:
    """There is nothing to set."""
    encoder = MobileNetV3(0.5)
    before = deepcopy(encoder.state_dict())

    normalise.calibrate(encoder, images)

    assert all(torch.equal(before[name], now) for name, now in encoder.state_dict().items())


def test_norms_inside_the_encoder_are_folded_away(images: list[torch.Tensor]) -> None:
    """The same output, and no BatchNorm of the encoder is left."""
    torch.manual_seed(0)
    config = NetworkConfig(
        aspp_channels=32,
        decoder_channels=(16, 16, 8, 8),
        has_encoder_norms=True,
        expansion_channels=48,
        attention_blocks=1,
        is_guided=True,
    )
    model = CVUNet(config)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.cat(images))
    model.eval()

    ready = fold_for_inference(model, torch.float32)

    convolutions = [part for part in ready.modules() if isinstance(part, SameConv)]
    assert all(isinstance(part.norm, torch.nn.Identity) for part in convolutions)
    with torch.inference_mode():
        torch.testing.assert_close(ready(images[0]), model(images[0]), atol=1e-3, rtol=1e-3)
