"""AdamW on a dictionary of tensors.

Torch has one; constructing it imports nine hundred modules of its compiler, which takes longer than fitting a small
model does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AdamW"]


class AdamW:
    r"""Adam with decoupled weight decay.

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \\
              w \leftarrow w - \eta \lambda w - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}

    Parameters
    ----------
    weights : leaves that require gradients; changed in place.
    weight_decay : lambda.
    betas, epsilon : of the moments.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        import torch

        self._weights = dict(weights)
        self._decay, self._betas, self._epsilon = weight_decay, betas, epsilon
        self._moments = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in self._weights.items()}
        self._steps = 0

    def step(self, learning_rate: float) -> None:
        """Move every weight by its gradient, and forget the gradients."""
        import torch

        self._steps += 1
        first, second = self._betas
        with torch.no_grad():
            for name, weight in self._weights.items():
                if weight.grad is None:
                    continue
                mean, square = self._moments[name]
                mean.lerp_(weight.grad, 1.0 - first)
                square.mul_(second).addcmul_(weight.grad, weight.grad, value=1.0 - second)
                spread = (square / (1.0 - second**self._steps)).sqrt_().add_(self._epsilon)
                weight.mul_(1.0 - learning_rate * self._decay)
                weight.addcdiv_(mean, spread, value=-learning_rate / (1.0 - first**self._steps))
                weight.grad = None
