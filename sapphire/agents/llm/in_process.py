"""A language model in this process, by transformers, on the CPU: what runs where there is no GPU and no server.

One thread and one question at a time: the same question gives the same bits, whatever is asked beside it. What prompts
begin with, up to the last message, is computed once and kept, as servers keep their prefixes.
"""

from __future__ import annotations

import copy
import importlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.llm.requests import Generate, Generated, Score, Scores
from sapphire.agents.models import Model, Reply
from sapphire.agents.torch_settings import settled_torch
from sapphire.domain.errors import MissingData, ValueRefused

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TransformersBackend"]

_KEPT_PREFIXES = 16
_OWN: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_PLAIN_HEADS = frozenset({"llama", "qwen2", "qwen3"})
"""Families whose logits are the last hidden state by the head, and nothing more."""


class TransformersBackend:
    """Runs a model from a folder of safetensors; loads it when it is first asked.

    Parameters
    ----------
    model : its name.
    folder : config.json, tokenizer and weights, verified by who hands it in. No code of it runs.
    adapters : LoRA adapters on it, name to folder in peft's layout, verified likewise.
    dtype : of its weights in memory.
    """

    def __init__(
        self, model: Model, folder: Path, *, adapters: Mapping[Model, Path] | None = None, dtype: str = "bfloat16"
    ) -> None:
        self._base, self._folder = model, folder
        self._adapters = dict(adapters or {})
        self._dtype = dtype
        self._lock = threading.Lock()
        self._network: Any = None
        self._tokenizer: Any = None
        self._grammars: Any = None
        self._prefixes: OrderedDict[tuple[Model, tuple[int, ...]], Any] = OrderedDict()

    @property
    def models(self) -> tuple[Model, ...]:
        """The model and its adapters."""
        return (self._base, *self._adapters)

    def score(self, model: Model, questions: Sequence[Score]) -> list[Reply]:
        """See `LLMBackend`.

        Raises
        ------
        MissingData : no files in the folder.
        ValueRefused : a choice that is not one token of this model.
        """
        with self._asked(model):
            return [self._score(model, question) for question in questions]

    def generate(self, model: Model, questions: Sequence[Generate]) -> list[Reply]:
        """See `LLMBackend`; greedy, so that the same question gives the same text.

        Raises
        ------
        MissingData : no files in the folder.
        """
        with self._asked(model):
            return [self._generate(question) for question in questions]

    def count_tokens(self, question: Score | Generate) -> int:
        """Length of a question's prompt in tokens of this model."""
        with self._lock:
            self._load()
            return len(self._tokens(question)[0]) + len(self._tokens(question)[1])

    def tokens(self, question: Score) -> tuple[list[int], list[int]]:
        """A question's prompt and its choices in tokens of this model.

        Raises
        ------
        MissingData, ValueRefused : as `score`.
        """
        with self._lock:
            self._load()
            prefix, rest = self._tokens(question)
            return [*prefix, *rest], self._choices(question.choices)

    def network(self, model: Model) -> Any:
        """The base model's network, read anew: whoever changes it changes no answer.

        Raises
        ------
        MissingData : no files in the folder.
        ValueRefused : another model.
        """
        if model != self._base:
            raise ValueRefused("a model that is not here", expected=self._base.repository, got=model.repository)
        self._require_files()
        return self._read()

    @contextmanager
    def _asked(self, model: Model) -> Iterator[None]:
        """One caller at a time, with the right adapter, without gradients, on one thread."""
        import torch

        with self._lock, settled_torch(), torch.inference_mode():
            self._load()
            with self._switched(model):
                yield

    def _score(self, model: Model, question: Score) -> Reply:
        import torch

        ids = self._choices(question.choices)
        prefix, rest = self._tokens(question)
        cache = self._prefix(model, prefix)
        out = self._network(
            input_ids=torch.tensor([rest]), cache=cache, use_cache=True, logits_to_keep=1, output_hidden_states=True
        )
        raw = dict(zip(question.choices, self._logits(out, ids), strict=True))
        scores = Scores.among(raw, len(prefix) + len(rest))
        return scores.reply(repr(raw), **self._about(), cached_tokens=len(prefix))

    def _logits(self, out: Any, ids: Sequence[int]) -> list[float]:
        """Logits of some tokens. The head alone is computed in float32: in bfloat16 they lie an eighth apart."""
        if self._network.config.model_type not in _PLAIN_HEADS:
            return [float(out.logits[0, -1, token]) for token in ids]
        rows = self._network.get_output_embeddings().weight[list(ids)]
        logits: list[float] = (rows.float() @ out.hidden_states[-1][0, -1].float()).tolist()
        return logits

    def _generate(self, question: Generate) -> Reply:
        import torch

        prefix, rest = self._tokens(question)
        prompt = [*prefix, *rest]
        until = time.monotonic() + question.seconds
        ending = _Ending(self._tokenizer, len(prompt), question.until, until)
        processors = [] if question.grammar is None else [self._constrained(question.grammar)]
        whole = self._network.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=question.max_tokens,
            do_sample=False,
            logits_processor=processors,
            stopping_criteria=[ending],
            pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
        )[0, len(prompt) :].tolist()
        ended = bool(whole) and whole[-1] in self._ends()
        raw = self._tokenizer.decode(whole, skip_special_tokens=False)
        text = self._tokenizer.decode(whole[: len(whole) - ended], skip_special_tokens=True)
        if question.until and question.until in text:
            text, ended = text.partition(question.until)[0], True
        stopped = "end" if ended else "time" if time.monotonic() > until else "length"
        made = Generated(text, stopped, len(prompt), len(whole))  # type: ignore[arg-type]
        return made.reply(raw, **self._about())

    def _tokens(self, question: Score | Generate) -> tuple[list[int], list[int]]:
        """The prompt in two parts: what ends with the last message but one, and the rest."""
        chat = [{"role": message.role, "content": message.content} for message in question.messages]
        whole = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        head = ""
        if len(chat) > 1:
            head = self._tokenizer.apply_chat_template(chat[:-1], tokenize=False, add_generation_prompt=False)
        if not whole.startswith(head):  # a template that writes a message otherwise when more follow
            head = ""
        rest = whole[len(head) :] + question.answer_so_far
        return self._encoded(head) if head else [], self._encoded(rest)

    def _encoded(self, text: str) -> list[int]:
        encoded: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return encoded

    def _choices(self, choices: Sequence[str]) -> list[int]:
        ids = [self._encoded(choice) for choice in choices]
        long = [choice for choice, of in zip(choices, ids, strict=True) if len(of) != 1]
        if long:
            raise ValueRefused(
                f"choices of {self._base.repository}",
                expected="words that are one token of the model each",
                got=", ".join(map(repr, long)),
                next="another word: up and down, positive and negative are one token of most models",
            )
        return [of[0] for of in ids]

    def _prefix(self, model: Model, prefix: Sequence[int]) -> Any:
        """What the network made of the constant part, a copy that the rest may be added to."""
        import torch
        from transformers import DynamicCache

        if not prefix:
            return DynamicCache(config=self._network.config)
        key = (model, tuple(prefix))
        if key not in self._prefixes:
            cache = DynamicCache(config=self._network.config)
            self._network(input_ids=torch.tensor([prefix]), cache=cache, use_cache=True, logits_to_keep=1)
            self._prefixes[key] = cache
            while len(self._prefixes) > _KEPT_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(key)
        return copy.deepcopy(self._prefixes[key])

    def _constrained(self, grammar: Mapping[str, Any]) -> Any:
        import xgrammar
        from xgrammar.contrib.hf import LogitsProcessor

        if self._grammars is None:
            size = self._network.config.vocab_size
            self._grammars = xgrammar.GrammarCompiler(
                xgrammar.TokenizerInfo.from_huggingface(self._tokenizer, vocab_size=size)
            )
        return LogitsProcessor(self._grammars.compile_json_schema(dict(grammar), any_whitespace=False))

    def _ends(self) -> set[int]:
        ends = self._network.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        return {token for token in (*listed, self._tokenizer.eos_token_id) if token is not None}

    def _about(self) -> dict[str, Any]:
        import torch
        import transformers

        versions = {"transformers": transformers.__version__, "torch": torch.__version__}
        return {"backend": "transformers", "device": "cpu", "dtype": self._dtype, "versions": versions}

    def _load(self) -> None:
        if self._network is not None:
            return
        self._require_files()
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(self._folder, **_OWN)
        network = self._read()
        for adapter, folder in self._adapters.items():
            network = _with_adapter(network, folder, _adapter_name(adapter))
        self._network = network

    def _read(self) -> Any:
        import torch
        from transformers import AutoModelForCausalLM

        bars: Any = importlib.import_module("transformers.utils.logging")  # its functions have no types
        bars.disable_progress_bar()
        network: Any = AutoModelForCausalLM.from_pretrained(
            self._folder, dtype=getattr(torch, self._dtype), use_safetensors=True, **_OWN
        )
        network.eval()
        bars.enable_progress_bar()
        return network

    def _require_files(self) -> None:
        missing = [name for name in ("config.json", "tokenizer.json") if not (self._folder / name).is_file()]
        if missing:
            raise MissingData(
                f"the weights of {self._base.repository} are not there",
                expected="a folder with config.json, tokenizer.json and *.safetensors",
                got=f"no {' and no '.join(missing)} in {self._folder}",
                next=f"sapphire weights pull {self._base.repository} --revision {self._base.revision}",
            )

    @contextmanager
    def _switched(self, model: Model) -> Iterator[None]:
        """The adapter that is asked is on, and all others are off."""
        if model != self._base and model not in self._adapters:
            names = ", ".join(each.repository for each in self.models)
            raise ValueRefused("a model that is not here", expected=f"one of {names}", got=model.repository)
        if not self._adapters:
            yield
        elif model == self._base:
            with self._network.disable_adapter():
                yield
        else:
            self._network.set_adapter(_adapter_name(model))
            yield


class _Ending:
    """Ends a text at a phrase, or when its time is over; as transformers asks its stopping criteria."""

    def __init__(self, tokenizer: Any, start: int, phrase: str, until: float) -> None:
        self._tokenizer, self._start, self._phrase, self._until = tokenizer, start, phrase, until

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        import torch

        over = time.monotonic() > self._until
        if self._phrase and not over:
            over = self._phrase in self._tokenizer.decode(input_ids[0, self._start :])
        return torch.full((input_ids.shape[0],), over)


def _adapter_name(model: Model) -> str:
    return model.sha256[:16]


def _with_adapter(network: Any, folder: Path, name: str) -> Any:
    from peft import PeftModel

    if isinstance(network, PeftModel):
        network.load_adapter(str(folder), adapter_name=name)
        return network
    return PeftModel.from_pretrained(network, str(folder), adapter_name=name)
