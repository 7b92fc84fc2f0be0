"""Muon and AdamW."""

import pytest
import torch

from cvunet.errors import TrainingError
from cvunet.network.network import CVUNet, NetworkConfig
from cvunet.training import optimisers

SMALL = NetworkConfig(width=0.35, aspp_channels=32, decoder_channels=(16, 16, 8, 8))


def groups(kind: str) -> list[dict[str, object]]:
    """Of a small network."""
    made = optimisers.build(CVUNet(SMALL), kind=kind, ratios={"encoder": 0.5}, weight_decay=0.1)
    return list(made.param_groups)


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
def test_a_step_of_muon_is_nearly_orthogonal(shape: tuple[int, int]) -> None:
    """All singular values come close to 1, for wide and tall matrices."""
    torch.manual_seed(0)

    values = torch.linalg.svdvals(optimisers.orthogonal(torch.randn(*shape)))

    assert 0.5 < float(values.min()) <= float(values.max()) < 1.3


def test_a_matrix_without_gradient_stays_finite() -> None:
    """Zero divided by zero is no step."""
    assert torch.equal(optimisers.orthogonal(torch.zeros(8, 9)), torch.zeros(8, 9))


def test_muon_takes_hidden_matrices_only() -> None:
    """Not the first layer, heads, depth-wise filters and biases."""
    taken = {name for name, p in CVUNet(SMALL).named_parameters() if optimisers.takes_muon(name, p)}

    assert "decoder.stages.0.join.0.weight" in taken
    assert "encoder.blocks.4.layers.0.weight" in taken
    assert not any("head" in name or "stem" in name or name.endswith("bias") for name in taken)
    assert "encoder.blocks.4.layers.2.weight" not in taken  # filters each channel apart


@pytest.mark.parametrize("kind", optimisers.KINDS)
def test_every_weight_is_in_one_group(kind: str) -> None:
    """The encoder's weights have their own ratio; vectors never decay."""
    found = groups(kind)

    sizes = [len(group["params"]) for group in found]  # type: ignore[arg-type]  # a list
    assert sum(sizes) == len(list(CVUNet(SMALL).parameters()))
    assert {group["ratio"] for group in found} == {0.5, 1.0}
    for group in found:
        dimensions = {p.ndim > 1 for p in group["params"]}  # type: ignore[attr-defined]  # a list
        assert dimensions == {group["weight_decay"] == 0.1}


def test_an_unknown_optimiser_is_refused() -> None:
    """The known ones are named."""
    with pytest.raises(TrainingError, match="adamw, muon"):
        groups("sgd")


def test_plain_groups_move_as_adam_does() -> None:
    """The same numbers as torch's AdamW."""
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.arange(6.0)) for _ in range(2))
    muon = optimisers.Muon([{"params": [ours], "is_matrix": False, "weight_decay": 0.1}])
    adam = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1, betas=optimisers.BETAS)
    muon.param_groups[0]["lr"] = 0.01

    for _ in range(5):
        gradient = torch.randn(6)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adam.step()

    torch.testing.assert_close(ours, theirs)
