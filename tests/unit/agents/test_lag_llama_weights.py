"""The published Lag-Llama: a checkpoint in its makers' layout, not run, says what their network says."""

import json
import math
import sys
import types
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sapphire.agents import PublishedLagLlama, check_agent, convert_lag_llama, load_lag_llama
from sapphire.domain.errors import AgentError, EvidenceRefused, MissingData, NotFitted, UnknownFile, ValueRefused

LAYERS, HEADS, HEAD, LAGS, CONTEXT = 2, 3, 4, (0, 1, 2, 5, 11), 6
WIDTH, HIDDEN = HEADS * HEAD, 256
TEN = timedelta(minutes=10)


def linear(rng, out, into):
    return rng.normal(size=(out, into)) / math.sqrt(into)


@pytest.fixture(scope="module")
def state():
    """Random weights under the names and in the shapes of the published checkpoint."""
    rng = np.random.default_rng(4)
    found = {
        "transformer.wte.weight": linear(rng, WIDTH, len(LAGS) + 8),
        "transformer.wte.bias": rng.normal(size=WIDTH),
        "transformer.ln_f.scale": rng.uniform(0.5, 1.5, WIDTH),
    }
    for layer in range(LAYERS):
        found |= {
            f"transformer.h.{layer}.rms_1.scale": rng.uniform(0.5, 1.5, WIDTH),
            f"transformer.h.{layer}.attn.q_proj.weight": linear(rng, WIDTH, WIDTH),
            f"transformer.h.{layer}.attn.kv_proj.weight": linear(rng, 2 * WIDTH, WIDTH),
            f"transformer.h.{layer}.attn.c_proj.weight": linear(rng, WIDTH, WIDTH),
            f"transformer.h.{layer}.rms_2.scale": rng.uniform(0.5, 1.5, WIDTH),
            f"transformer.h.{layer}.mlp.c_fc1.weight": linear(rng, HIDDEN, WIDTH),
            f"transformer.h.{layer}.mlp.c_fc2.weight": linear(rng, HIDDEN, WIDTH),
            f"transformer.h.{layer}.mlp.c_proj.weight": linear(rng, WIDTH, HIDDEN),
        }
    for at in range(3):
        found[f"param_proj.proj.{at}.weight"] = linear(rng, 1, WIDTH)
        found[f"param_proj.proj.{at}.bias"] = rng.normal(size=1)
    return {f"model.{name}": array.astype(np.float32) for name, array in found.items()}


@pytest.fixture
def gluonts(monkeypatch):
    """The two classes that the published checkpoint holds, where its makers' code found them, while it is written."""
    made = {}
    for path in (
        "gluonts.torch.distributions.studentT.StudentTOutput",
        "gluonts.torch.modules.loss.NegativeLogLikelihood",
    ):
        module, _, name = path.rpartition(".")
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            package = ".".join(parts[:i])
            monkeypatch.setitem(sys.modules, package, sys.modules.get(package) or types.ModuleType(package))
        made[name] = type(name, (), {"__module__": module})
        setattr(sys.modules[module], name, made[name])
    made["StudentTOutput"].__init__ = lambda self: self.__dict__.update(beta=0.0)
    return made


@pytest.fixture
def written(state, gluonts, tmp_path, monkeypatch):
    """Writes a checkpoint, with some of it otherwise; GluonTS is gone again when it is read."""
    import torch

    def write(name="lag-llama.ckpt", *, arrays=None, extra=None, **otherwise):
        kwargs = {
            "input_size": 1, "context_length": CONTEXT, "max_context_length": 2048, "lags_seq": list(LAGS),
            "n_layer": LAYERS, "n_embd_per_head": HEAD, "n_head": HEADS, "scaling": "robust",
            "distr_output": gluonts["StudentTOutput"](), "num_parallel_samples": 100, "rope_scaling": None,
            "time_feat": True, "dropout": 0.0, **otherwise,
        }  # fmt: skip
        hyper = {"model_kwargs": kwargs, "loss": gluonts["NegativeLogLikelihood"](), "lr": 1e-3}
        tensors = {key: torch.tensor(array) for key, array in (arrays or state).items()}
        torch.save({"epoch": 3, "state_dict": tensors, "hyper_parameters": hyper, **(extra or {})}, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def converted(written, tmp_path, monkeypatch):
    checkpoint = written()
    for name in [name for name in sys.modules if name.split(".")[0] == "gluonts"]:
        monkeypatch.delitem(sys.modules, name)
    return convert_lag_llama(checkpoint, tmp_path / "weights")


def reference(state, values, began, lags=LAGS):
    """What the published network says of the value after `values`, position by position, in plain loops."""
    w = {name.removeprefix("model."): array.astype(float) for name, array in state.items()}
    median = sorted(values)[(len(values) - 1) // 2]
    iqr = np.percentile(values, 75) - np.percentile(values, 25)
    scaled = [(value - median) / iqr for value in [0.0] * (CONTEXT + max(lags) - len(values)) + list(values)]
    rows = []
    for position in range(CONTEXT):
        at, moment = len(scaled) - CONTEXT + position, began[position]
        clock = [moment.second / 59, moment.minute / 59, moment.hour / 23, moment.day_of_week / 6]
        clock += [(moment.day - 1) / 30, (moment.day_of_year - 1) / 365]
        level = [math.log1p(abs(median)), math.log(iqr)]
        rows.append([scaled[at - lag] for lag in lags] + level + [part - 0.5 for part in clock])
    x = np.array(rows) @ w["transformer.wte.weight"].T + w["transformer.wte.bias"]

    def norm(h, scale):
        return scale * h / np.sqrt((h**2).mean(axis=-1, keepdims=True) + 1e-5)

    def turned(vector, position):
        pairs = [complex(vector[i], vector[i + HEAD // 2]) for i in range(HEAD // 2)]
        turns = [np.exp(1j * position / 10_000 ** (2 * i / HEAD)) for i in range(HEAD // 2)]
        out = [pair * turn for pair, turn in zip(pairs, turns, strict=True)]
        return np.array([each.real for each in out] + [each.imag for each in out])

    for layer in range(LAYERS):
        block = {n.split(".", 3)[3]: a for n, a in w.items() if n.startswith(f"transformer.h.{layer}.")}
        h = norm(x, block["rms_1.scale"])
        q, kv = h @ block["attn.q_proj.weight"].T, h @ block["attn.kv_proj.weight"].T
        k, v = kv[:, :WIDTH], kv[:, WIDTH:]
        seen = np.zeros_like(x)
        for head in range(HEADS):
            part = slice(head * HEAD, (head + 1) * HEAD)
            for i in range(CONTEXT):
                match = [turned(q[i, part], i) @ turned(k[j, part], j) / math.sqrt(HEAD) for j in range(i + 1)]
                share = np.exp(match) / np.exp(match).sum()
                seen[i, part] = share @ v[: i + 1, part]
        x = x + seen @ block["attn.c_proj.weight"].T
        h = norm(x, block["rms_2.scale"])
        gate = h @ block["mlp.c_fc1.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ block["mlp.c_fc2.weight"].T)) @ block["mlp.c_proj.weight"].T
    last = norm(x, w["transformer.ln_f.scale"])[-1]
    df, loc, scale = (
        float((w[f"param_proj.proj.{at}.weight"] @ last + w[f"param_proj.proj.{at}.bias"])[0]) for at in range(3)
    )
    return 2 + math.log1p(math.exp(df)), median + iqr * loc, iqr * math.log1p(math.exp(scale))


@pytest.mark.parametrize("history", [0, 9])
def test_it_says_what_the_published_network_says(converted, state, make_bars, history):
    """Whole history, and one that its lags reach beyond."""
    bars = make_bars(60, seed=6)
    agent = load_lag_llama(converted, horizon=TEN, bar=bars.interval.timedelta, history=history)
    shown = history or CONTEXT + max(LAGS)
    assert agent.warmup == 2 * shown + 1
    stated = agent.distribution(bars)
    assert not np.isfinite(stated.loc_bps[: agent.warmup - 1]).any()
    for row, symbol in ((agent.warmup - 1, 0), (59, 1)):
        ends = row - 2 * np.arange(shown)[::-1]
        values = np.log(bars.close[ends, symbol] / bars.close[ends - 2, symbol])
        began = pd.DatetimeIndex(bars.close_time_ns[ends[-CONTEXT:] - 2])
        degrees, loc, scale = reference(state, values, began)
        assert stated.degrees[row, symbol] == pytest.approx(degrees, rel=1e-6)
        assert stated.loc_bps[row, symbol] == pytest.approx(1e4 * loc, rel=1e-5)
        assert stated.scale_bps[row, symbol] == pytest.approx(1e4 * scale, rel=1e-6)


def test_it_is_an_agent_that_sees_no_later_bar(converted, make_bars):
    bars = make_bars(160, seed=6)
    agent = load_lag_llama(converted, horizon=TEN, bar=bars.interval.timedelta)
    report = check_agent(agent, bars, moments=3)
    assert report.ok, str(report)
    config = json.loads((converted / "config.json").read_text())
    assert agent.checkpoint == config["sha256"]
    assert agent.card()["weights"] == sum(array.size for array in agent.weights.values()) > 19_000
    assert agent.fit(bars, seed=1) is agent
    assert np.isnan(agent.distribution(bars.rows(0, 5)).std_bps).all()
    with pytest.raises(NotFitted):
        PublishedLagLlama(bar=bars.interval.timedelta).distribution(bars)
    with pytest.raises(AgentError, match="other bars"):
        agent.distribution(make_bars(40, interval="1m"))
    with pytest.raises(AgentError, match="cannot be asked"):
        load_lag_llama(converted, history=3)


@pytest.mark.parametrize(
    ("otherwise", "named"),
    [({"scaling": "mean"}, "scaling 'mean'"), ({"time_feat": False}, "time_feat False"), ({"lags_seq": [-1]}, "-1"),
     ({"distr_output": "iqn"}, "distr_output"), ({"n_head": 4}, r"\(12, 13\)"),
     ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling")],
)  # fmt: skip
def test_a_network_that_is_built_otherwise_is_refused(written, tmp_path, otherwise, named):
    with pytest.raises(AgentError, match="built otherwise") as refused:
        convert_lag_llama(written(**otherwise), tmp_path / "weights")
    assert pd.Series([refused.value.got]).str.contains(named).all()
    assert not (tmp_path / "weights").exists()


def test_an_array_too_few_or_too_many_is_refused(written, state, tmp_path):
    fewer = {name: array for name, array in state.items() if "rms_2" not in name}
    more = state | {"model.transformer.h.2.rms_1.scale": np.ones(WIDTH, np.float32)}
    for arrays, got in ((fewer, "no such array"), (more, "model.transformer.h.2.rms_1.scale")):
        with pytest.raises(AgentError, match="built otherwise") as refused:
            convert_lag_llama(written(arrays=arrays), tmp_path / "weights")
        assert got in refused.value.got
    rotary = state | {"model.transformer.h.0.attn.rotary_emb.inv_freq": np.ones(2, np.float32)}
    assert convert_lag_llama(written(arrays=rotary), tmp_path / "weights").is_dir()


class _Runs:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self):
        return (print, ("this ran",))


def test_no_code_of_a_checkpoint_runs(written, tmp_path, capsys):
    with pytest.raises(UnknownFile, match="cannot be read") as refused:
        convert_lag_llama(written(extra={"callbacks": _Runs()}), tmp_path / "weights")
    assert "print" in refused.value.got
    assert "this ran" not in capsys.readouterr().out
    for name, data in (("text.ckpt", b"weights"), ("empty.ckpt", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnknownFile):
            convert_lag_llama(tmp_path / name, tmp_path / "weights")
    with pytest.raises(MissingData, match="checkpoint of Lag-Llama"):
        convert_lag_llama(tmp_path / "nothing.ckpt", tmp_path / "weights")


def test_weights_that_were_changed_are_refused(converted, tmp_path):
    with pytest.raises(ValueRefused, match="folder of the weights"):
        convert_lag_llama(tmp_path / "lag-llama.ckpt", converted)
    weights = converted / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(EvidenceRefused, match="changed after"):
        load_lag_llama(converted)
    with pytest.raises(MissingData, match="weights of Lag-Llama are not there"):
        load_lag_llama(tmp_path / "nowhere")
