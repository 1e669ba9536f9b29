"""Training of a LoRA adapter: a language model learns to choose the right word of few, on questions with answers.

In:    a model's folder, questions as agents ask them, the choice that is right of each.
Out:   a folder in peft's layout (adapter_config.json, adapter_model.safetensors), its name by digest, losses by step.
Never: changes the model under it; sees what it is judged by later; runs code of a folder.

The loss is the cross-entropy of the right choice among the choices at the position where the answer begins, which is
what `Score` reads. The adapter changes the queries and values of the last layers alone, so gradients end there: on two
cores the packaged model takes about a third of a second for a step of four headlines.

Source: Hu et al. (2022), LoRA: low-rank adaptation of large language models, arXiv 2106.09685; by peft.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.adamw import AdamW
from sapphire.agents.llm.in_process import TransformersBackend
from sapphire.agents.llm.requests import Score, Scores
from sapphire.agents.models import Model
from sapphire.agents.torch_settings import settled_torch
from sapphire.data.durable import replace_folder
from sapphire.domain.errors import AgentError, ValueRefused

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TrainedAdapter", "accuracy", "train_adapter"]

Example = tuple[Score, str]
"""A question, and which of its choices is right."""

_FILES = ("adapter_config.json", "adapter_model.safetensors")
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class TrainedAdapter:
    """What came of a training.

    Parameters
    ----------
    model : the adapter's name, with the digest of its weights.
    folder : where it lies.
    losses : mean cross-entropy of each step's batch before the step, nats.
    parameters : numbers that were trained.
    """

    model: Model
    folder: Path
    losses: tuple[float, ...]
    parameters: int


def train_adapter(
    backend: TransformersBackend,
    base: Model,
    examples: Sequence[Example],
    folder: Path,
    *,
    repository: str,
    revision: str,
    seed: int,
    rank: int = 4,
    layers: int = 8,
    steps: int = 40,
    batch: int = 4,
    learning_rate: float = 2e-3,
    progress: Callable[[int, int, float], None] | None = None,
) -> TrainedAdapter:
    """Train a LoRA adapter on the base model of a backend, and keep it in a folder.

    Parameters
    ----------
    backend : has the base model; it is read, and answers afterwards as it did before.
    base : the model under the adapter.
    examples : questions and right choices.
    folder : is made; nothing stands there yet.
    repository, revision : the adapter's name.
    seed : decides first weights and order.
    rank : of the matrices.
    layers : so many of the last ones are changed.
    steps, batch, learning_rate : of AdamW, without weight decay.
    progress : is given the step, how many there are, and the loss.

    Returns
    -------
    Its name, folder and losses. The same seed, examples and versions of libraries make the same adapter.

    Raises
    ------
    ValueRefused : no examples, a right answer that is no choice, counts below 1, or a folder that is there.
    AgentError : a loss that is not finite.
    MissingData : no files of the base model.
    """
    _require(examples, folder, {"rank": rank, "layers": layers, "steps": steps, "batch": batch})
    import torch
    from torch.nn import functional

    asked = [(*backend.tokens(question), question.choices.index(right)) for question, right in examples]
    with settled_torch():
        dice = torch.Generator().manual_seed(seed)
        network = _adapted(backend.network(base), rank=rank, layers=layers, dice=dice)
        trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        optimiser = AdamW(trained, weight_decay=0.0)
        losses: list[float] = []
        order = torch.cat([torch.randperm(len(asked), generator=dice) for _ in range(-(-steps * batch // len(asked)))])
        for step in range(steps):
            chosen = [asked[at] for at in order[step * batch : (step + 1) * batch].tolist()]
            right = torch.tensor([answer for _, _, answer in chosen])
            loss = functional.cross_entropy(_logits(network, chosen), right)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise AgentError("training diverged", expected="a finite loss", got=f"{losses[-1]} at step {step}")
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step(learning_rate * min(1.0, (step + 1) / _WARM_UP))
            if progress is not None:
                progress(step + 1, steps, losses[-1])

        def write(temporary: Path) -> None:
            network.peft_config["default"].base_model_name_or_path = base.repository
            network.save_pretrained(temporary, save_embedding_layers=False)  # True would ask a hub for the base
            for path in temporary.iterdir():
                if path.name not in _FILES:  # a card with gaps in it
                    path.unlink()
                else:
                    path.chmod(0o644)

        replace_folder(folder, write)
    digest = hashlib.sha256((folder / _FILES[1]).read_bytes()).hexdigest()
    size = sum(weight.numel() for weight in trained.values())
    return TrainedAdapter(Model(repository, revision, digest), folder, tuple(losses), size)


def accuracy(backend: TransformersBackend, model: Model, examples: Sequence[Example]) -> float:
    """Share of questions whose right choice a model finds the likeliest; ask it of examples that taught nothing.

    Raises
    ------
    ValueRefused : no examples, or a model that the backend does not have.
    BadModelOutput : a reply that holds no scores.
    """
    if not examples:
        raise ValueRefused("examples to judge by", expected="one or more", got="none")
    replies = backend.score(model, [question for question, _ in examples])
    hits = 0
    for (question, right), reply in zip(examples, replies, strict=True):
        likely = Scores.of(reply.answer, question.choices).log_probabilities
        hits += max(likely, key=likely.__getitem__) == right
    return hits / len(examples)


def _require(examples: Sequence[Example], folder: Path, counts: dict[str, int]) -> None:
    wrong = next((right for question, right in examples if right not in question.choices), None)
    if not examples or wrong is not None or min(counts.values()) < 1:
        raise ValueRefused(
            "training of an adapter",
            expected="examples whose right answer is one of their choices, and counts of 1 or more",
            got=f"{len(examples):,} examples, {counts}" if wrong is None else f"the answer {wrong!r}",
        )
    if folder.exists():
        raise ValueRefused("folder of an adapter", expected="one that is not there yet", got=str(folder))


def _adapted(network: Any, *, rank: int, layers: int, dice: Any) -> Any:
    """The network with an adapter that changes nothing yet; its first weights are drawn from `dice` alone."""
    import torch
    from peft import LoraConfig, get_peft_model

    depth = network.config.num_hidden_layers
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=["q_proj", "v_proj"],
        layers_to_transform=list(range(max(0, depth - layers), depth)),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):  # peft draws from the global state, which is not ours
        adapted: Any = get_peft_model(network, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_A" in name:
                weight.copy_(torch.randn(weight.shape, generator=dice) / weight.shape[1] ** 0.5)
    return adapted


def _logits(network: Any, chosen: Sequence[tuple[list[int], list[int], int]]) -> Tensor:
    """Logits of each question's choices where its answer begins, float32 [B, choices]."""
    import torch

    longest = max(len(prompt) for prompt, _, _ in chosen)
    ids = torch.zeros(len(chosen), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, _, _) in enumerate(chosen):
        ids[row, : len(prompt)], mask[row, : len(prompt)] = torch.tensor(prompt), 1
    inner = network.get_base_model()
    hidden = inner.model(input_ids=ids, attention_mask=mask).last_hidden_state
    ends = torch.stack([hidden[row, len(prompt) - 1] for row, (prompt, _, _) in enumerate(chosen)])
    rows = inner.get_output_embeddings().weight[torch.tensor([choices for _, choices, _ in chosen])]
    return torch.einsum("bw,bcw->bc", ends.float(), rows.float())
