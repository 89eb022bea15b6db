# ruff: noqa: N806 - shape suffixes, as in the model
import pytest
import torch

from mmdoctor.reference.attention import (
    Attention,
    causal_mask,
    fused_attention,
    padding_mask,
    textbook_attention,
    use_attention,
)
from mmdoctor.reference.config import TransformerConfig
from mmdoctor.reference.layers import Encoder

MASKS = {
    "open": None,
    "causal": causal_mask(5, 7),
    "padded": padding_mask(torch.tensor([[1] * 7, [1, 1, 1, 0, 0, 0, 0]])),
}


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_the_formula_equals_the_fused_kernels(mask: torch.Tensor | None) -> None:
    q_BHTd, k_BHSd, v_BHSd = seeded(2, 4, 5, 8), seeded(2, 4, 7, 8, seed=1), seeded(2, 4, 7, 8, seed=2)

    textbook = textbook_attention(q_BHTd, k_BHSd, v_BHSd, mask)

    torch.testing.assert_close(textbook, fused_attention(q_BHTd, k_BHSd, v_BHSd, mask), rtol=0, atol=1e-14)


def test_the_formula_by_hand() -> None:
    q = torch.tensor([[[[1.0, 0.0]]]])
    k = torch.tensor([[[[2.0, 0.0], [0.0, 2.0]]]])
    v = torch.tensor([[[[1.0], [0.0]]]])
    weight = torch.exp(torch.tensor(2 / 2**0.5))

    assert textbook_attention(q, k, v).item() == pytest.approx((weight / (weight + 1)).item())


@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_grouped_queries_equal_heads_of_their_own_with_copied_weights(key_value_heads: int) -> None:
    grouped, full = Attention(16, 4, num_key_value_heads=key_value_heads), Attention(16, 4)
    state = grouped.state_dict()
    for name in ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias"):
        heads = state[name].unflatten(0, (key_value_heads, 4))
        state[name] = heads.repeat_interleave(4 // key_value_heads, dim=0).flatten(0, 1)
    full.load_state_dict(state)
    x_BTD, memory_BSD = seeded(2, 5, 16).float(), seeded(2, 7, 16, seed=1).float()

    torch.testing.assert_close(grouped(x_BTD, memory_BSD), full(x_BTD, memory_BSD))


def test_grouped_keys_are_smaller() -> None:
    memory = Attention(16, 4, num_key_value_heads=2).keys_and_values(seeded(2, 7, 16).float())

    assert memory.k_BKSd.shape == memory.v_BKSd.shape == (2, 2, 7, 4)


def test_cross_attention_takes_a_memory_of_another_width() -> None:
    assert Attention(16, 4, memory_width=24)(torch.ones(2, 5, 16), torch.ones(2, 7, 24)).shape == (2, 5, 16)


def test_hidden_positions_change_nothing() -> None:
    attention, x_BTD, memory_BSD = Attention(16, 4), seeded(1, 5, 16).float(), seeded(1, 7, 16, seed=1).float()
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1, 0, 0]]))
    before = attention(x_BTD, memory_BSD, mask)
    memory_BSD[:, 5:] = 1e3

    torch.testing.assert_close(attention(x_BTD, memory_BSD, mask), before)


def test_the_last_of_the_asking_positions_sees_all() -> None:
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder_keeps_the_shape_and_either_attention_gives_the_same(norm_first: bool) -> None:
    config = TransformerConfig(hidden_size=16, intermediate_size=24, num_key_value_heads=2)
    encoder, x_BTD = Encoder(config, norm_first=norm_first), seeded(2, 5, 16).float()
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]))
    fused = encoder(x_BTD, mask)
    use_attention(encoder, "textbook")

    assert fused.shape == x_BTD.shape
    torch.testing.assert_close(encoder(x_BTD, mask), fused)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 15, "num_heads": 4}, "width 15 is not a multiple of num_heads 4"),
        ({"width": 16, "num_heads": 4, "num_key_value_heads": 3}, "num_heads 4 .* num_key_value_heads 3"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Attention(**arguments)


def test_an_unknown_implementation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'flash' is not one of \['sdpa', 'textbook'\]"):
        use_attention(Attention(16, 4), "flash")
