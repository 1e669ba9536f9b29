"""A language model behind vLLM's server: questions go over HTTP, many at once, and the server batches them.

The server is reached by its OpenAI-compatible API, through the bento before it. What a reply is made of is recorded as
it came. Two runs of a server may differ in the last digits, because what is computed beside a question changes the
order of its sums; a recording does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import LifoQueue
from typing import Any, TypeVar

from sapphire.agents.llm.requests import Generate, Generated, Score, Scores
from sapphire.agents.models import Model, Reply
from sapphire.domain.errors import AgentError, BadModelOutput, NotReady, ValueRefused
from sapphire.telemetry.http_client import Answer, HttpClient

__all__ = ["VllmBackend"]

_TOP = 20
"""Most log-probabilities that the server gives by default."""
_STOPPED = {"stop": "end", "length": "length"}
_Asked = TypeVar("_Asked", Score, Generate)


class VllmBackend:
    """Asks one server.

    Parameters
    ----------
    model : the base that it serves.
    url : "http://HOST:PORT".
    served : model to the name that the server knows it by; the base by its repository unless given.
    adapters : models that are adapters on the base.
    within_s : how long one question may take.
    concurrency : questions at once.
    token : bearer token of the server, if it wants one.
    prices_usd : of a million tokens of prompt and of answer; a server of one's own has none.

    Raises
    ------
    ConfigError : not an address.
    """

    def __init__(
        self,
        model: Model,
        url: str,
        *,
        adapters: Sequence[Model] = (),
        served: Mapping[Model, str] | None = None,
        within_s: float = 30.0,
        concurrency: int = 16,
        token: str | None = None,
        prices_usd: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.models = (model, *adapters)
        self._served = {each: each.repository for each in self.models} | dict(served or {})
        self._prices = prices_usd
        self._clients: LifoQueue[HttpClient] = LifoQueue()
        for _ in range(concurrency):
            self._clients.put(HttpClient(url, f"the server of {model.repository}", within_s=within_s, token=token))
        self._concurrency = concurrency

    def score(self, model: Model, questions: Sequence[Score]) -> list[Reply]:
        """See `LLMBackend`.

        Raises
        ------
        NotReady : the server does not answer, or is busy.
        AgentError : it refuses the question.
        """
        return self._each(questions, lambda client, question: self._score(client, model, question))

    def generate(self, model: Model, questions: Sequence[Generate]) -> list[Reply]:
        """See `LLMBackend`; raises what `score` raises."""
        return self._each(questions, lambda client, question: self._generate(client, model, question))

    def close(self) -> None:
        """Close the connections."""
        for _ in range(self._concurrency):
            client = self._clients.get()
            client.close()
            self._clients.put(client)

    def _each(self, questions: Sequence[_Asked], ask: Callable[[HttpClient, _Asked], Reply]) -> list[Reply]:
        def one(question: _Asked) -> Reply:
            client = self._clients.get()
            try:
                return ask(client, question)
            finally:
                self._clients.put(client)

        if len(questions) == 1:
            return [one(questions[0])]
        with ThreadPoolExecutor(min(self._concurrency, max(1, len(questions)))) as threads:
            return list(threads.map(one, questions))

    def _score(self, client: HttpClient, model: Model, question: Score) -> Reply:
        if len(question.choices) > _TOP:
            raise ValueRefused("choices of a server", expected=f"at most {_TOP}", got=str(len(question.choices)))
        own = {
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": _TOP,
            "structured_outputs": {"choice": list(question.choices)},
        }
        raw, facts = self._post(client, model, question, own)
        found = _top(facts)
        if any(choice not in found for choice in question.choices):
            raise ValueRefused(
                f"choices of {model.repository}",
                expected="words that are one token of the model each, which the server gives a log-probability of",
                got=", ".join(repr(choice) for choice in question.choices if choice not in found),
                next="another word: up and down, positive and negative are one token of most models",
            )
        counts = _usage(facts)
        scores = Scores.among({choice: found[choice] for choice in question.choices}, counts["prompt_tokens"])
        return scores.reply(raw, **self._about(facts, counts))

    def _generate(self, client: HttpClient, model: Model, question: Generate) -> Reply:
        own: dict[str, Any] = {"max_tokens": question.max_tokens}
        if question.grammar is not None:
            own["structured_outputs"] = {"json": dict(question.grammar)}
        if question.until:
            own["stop"] = [question.until]
        raw, facts = self._post(client, model, question, own)
        counts = _usage(facts)
        try:
            choice = facts["choices"][0]
            text, stopped = choice["message"]["content"] or "", _STOPPED[choice["finish_reason"]]
        except (KeyError, IndexError, TypeError) as error:
            raise _strange(raw) from error
        made = Generated(text, stopped, counts["prompt_tokens"], counts["completion_tokens"])  # type: ignore[arg-type]
        return made.reply(raw, **self._about(facts, counts))

    def _post(
        self, client: HttpClient, model: Model, question: Score | Generate, own: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        messages: list[dict[str, str]] = [{"role": each.role, "content": each.content} for each in question.messages]
        begun = bool(question.answer_so_far)
        if begun:
            messages.append({"role": "assistant", "content": question.answer_so_far})
        body = {
            "model": self._served[model],
            "messages": messages,
            "temperature": 0.0,
            "seed": 0,
            "add_generation_prompt": not begun,
            "continue_final_message": begun,
            **own,
        }
        answer = client.post("/v1/chat/completions", body, repeats=True, next="see whether the server runs: /health")
        _require_ok(client, model, answer)
        return answer.body.decode("utf-8", "replace"), answer.facts()

    def _about(self, facts: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
        prompt, completion = self._prices
        cost = (prompt * counts["prompt_tokens"] + completion * counts["completion_tokens"]) / 1e6
        return {"backend": "vllm", "server": str(facts.get("system_fingerprint") or ""), "cost_usd": round(cost, 9)}


def _require_ok(client: HttpClient, model: Model, answer: Answer) -> None:
    if answer.is_ok:
        return
    got = f"{answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"
    if answer.is_not_now:
        raise NotReady(f"the server of {model.repository} is busy", expected="an answer", got=got, next="ask again")
    raise AgentError(
        f"the server of {model.repository} refuses a question",
        expected=f"that {client.url} serves it, and that the prompt fits its context",
        got=got,
        next=f"ask the server itself: GET {client.url}/v1/models",
    )


def _top(facts: Mapping[str, Any]) -> dict[str, float]:
    """The log-probabilities of the first token that was written, by its text."""
    try:
        listed = facts["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {each["token"]: value for each in listed if math.isfinite(value := float(each["logprob"]))}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _strange(json.dumps(facts)) from error


def _usage(facts: Mapping[str, Any]) -> dict[str, int]:
    usage = facts.get("usage") or {}
    return {name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}


def _strange(raw: str) -> BadModelOutput:
    return BadModelOutput(
        "a server's answer cannot be read",
        expected="a completion as the OpenAI-compatible API of vLLM gives it",
        got=raw[:200],
        next="see which server stands at the address",
    )
