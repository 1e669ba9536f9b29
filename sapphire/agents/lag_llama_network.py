"""The network of Lag-Llama as a dictionary of tensors: RMSNorm, rotary causal attention, SwiGLU, three outputs.

In: features of positions, weights.  Out: three numbers for each position.  Never: scaling, targets, what they mean.

Weights, L of each layer and C the width: `embed.weight` [F, C], `embed.bias` [C]; `L.attention.norm` [C],
`L.attention.qkv` [C, 3 C], `L.attention.out` [C, C], `L.swiglu.norm` [C], `L.swiglu.gate_up` [C, 2 H],
`L.swiglu.down` [H, C]; `head.norm` [C], `head.weight` [C, 3], `head.bias` [3]. Inputs stand on the left of a product.

The published network is this one with an epsilon of 1e-5 and an H that is a multiple of 256; see `lag_llama_weights`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["FIRST_GUESS", "initial_weights", "outputs"]

FIRST_GUESS = (1.85, 0.0, 0.25)
"""Outputs of fresh weights; before the softplus: 5 degrees of freedom, location 0, unit deviation."""


def initial_weights(*, inputs: int, width: int, layers: int, dice: Generator) -> dict[str, Tensor]:
    """Fresh weights, drawn from `dice` alone: scaled normals, with small outputs of each block and of the head."""
    import torch

    def drawn(rows: int, columns: int, gain: float = 1.0) -> Tensor:
        return torch.randn(rows, columns, generator=dice) * (gain / math.sqrt(rows))

    wide, hidden = width, 2 * width
    weights = {"embed.weight": drawn(inputs, wide), "embed.bias": torch.zeros(wide)}
    for layer in range(layers):
        weights |= {
            f"{layer}.attention.norm": torch.ones(wide),
            f"{layer}.attention.qkv": drawn(wide, 3 * wide),
            f"{layer}.attention.out": drawn(wide, wide, 0.5),
            f"{layer}.swiglu.norm": torch.ones(wide),
            f"{layer}.swiglu.gate_up": drawn(wide, 2 * hidden),
            f"{layer}.swiglu.down": drawn(hidden, wide, 0.5),
        }
    weights |= {"head.norm": torch.ones(wide), "head.weight": drawn(wide, 3, 0.1)}
    weights["head.bias"] = torch.tensor(FIRST_GUESS)
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def outputs(
    weights: Mapping[str, Tensor], x: Tensor, *, layers: int, heads: int, epsilon: float = 1e-6
) -> tuple[Tensor, Tensor, Tensor]:
    """The three outputs at every position of `x` [B, T, F], each [B, T]; a position sees itself and earlier ones.

    Parameters
    ----------
    epsilon : of the norms.
    """
    from torch.nn import functional

    batch, length, _ = x.shape
    h = x @ weights["embed.weight"] + weights["embed.bias"]
    for layer in range(layers):
        w = {name.split(".", 1)[1]: weight for name, weight in weights.items() if name.startswith(f"{layer}.")}
        qkv = (_rms_norm(h, w["attention.norm"], epsilon) @ w["attention.qkv"]).view(batch, length, 3, heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(_rotated(q), _rotated(k), v, is_causal=True)
        h = h + seen.transpose(1, 2).reshape(batch, length, -1) @ w["attention.out"]
        gate, up = (_rms_norm(h, w["swiglu.norm"], epsilon) @ w["swiglu.gate_up"]).chunk(2, dim=-1)
        h = h + (functional.silu(gate) * up) @ w["swiglu.down"]
    out = _rms_norm(h, weights["head.norm"], epsilon) @ weights["head.weight"] + weights["head.bias"]
    df, loc, scale = out.unbind(dim=-1)
    return df, loc, scale


def _rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Zhang and Sennrich (2019), Root mean square layer normalization."""
    return x * (x.pow(2).mean(dim=-1, keepdim=True) + epsilon).rsqrt() * weight


def _rotated(x: Tensor) -> Tensor:
    """Rotary position embedding of [B, heads, C, D]: Su et al. (2021), RoFormer, in halves."""
    import torch

    half = x.shape[-1] // 2
    speed = 10_000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * speed
    left, right = x[..., :half], x[..., half:]
    return torch.cat((left * angle.cos() - right * angle.sin(), left * angle.sin() + right * angle.cos()), dim=-1)
