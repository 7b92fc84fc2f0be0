"""A network that is only asked."""

import copy

import pytest
import torch
from torch import nn

from cvunet.network.folding import fold_for_inference
from cvunet.network.network import CVUNet, NetworkConfig

SMALL = NetworkConfig(
    width=0.35,
    aspp_channels=16,
    decoder_channels=(16, 8, 8, 8),
    trunk_scale=0.5,
    refine_channels=8,
)


@pytest.fixture
def model() -> CVUNet:
    """A network whose norms have seen pictures, so that folding them has something to do."""
    torch.manual_seed(3)
    network = CVUNet(SMALL)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            part.running_mean = torch.randn(part.num_features) * 0.3
            part.running_var = torch.rand(part.num_features) + 0.5
    return network.eval()


@torch.inference_mode()
def test_folded_is_the_same_function(model: CVUNet):
    """Up to rounding, and the network itself stays as it was."""
    image = torch.rand(2, 3, 128, 128) * 2 - 1
    before = copy.deepcopy(model.state_dict())

    expected, answer = model(image), fold_for_inference(model, torch.float32)(image)

    assert torch.allclose(answer, expected, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_norms_behind_convolutions_are_gone(model: CVUNet):
    """Only those of the encoder's maps, which follow no convolution, are left."""
    norms = [part for part in fold_for_inference(model, torch.float32).modules()
             if isinstance(part, nn.BatchNorm2d)]  # fmt: skip

    assert len(norms) == len(model.norms)


@torch.inference_mode()
def test_weights_are_cast_once(model: CVUNet):
    """All of them; the answer is near that in float32."""
    image = torch.rand(1, 3, 128, 128) * 2 - 1

    ready = fold_for_inference(model, torch.bfloat16)

    assert {value.dtype for value in ready.parameters()} == {torch.bfloat16}
    difference = ready(image.bfloat16()).float().sigmoid() - model(image).sigmoid()
    assert float(difference.abs().mean()) < 0.02
