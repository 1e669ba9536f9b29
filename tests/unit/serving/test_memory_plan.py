"""What language models take of a GPU, by arithmetic: published counts of parameters, one L4, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from sapphire.agents.llm.packaged import packaged_model
from sapphire.domain import ConfigError, MissingData, Refused
from sapphire.serving.memory_plan import CONTEXT, GIB, WORKING, MemoryPlan, ModelShape, ServerMemory

L4 = 22 * GIB
QWEN3_8B = json.loads((Path(__file__).parents[2] / "bench" / "qwen3_8b" / "config.json").read_text())
QWEN25_05B = {
    "model_type": "qwen2", "num_hidden_layers": 24, "hidden_size": 896, "intermediate_size": 4864,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
LLAMA2_7B = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 11008,
    "num_attention_heads": 32, "vocab_size": 32000,
}  # fmt: skip
STORED_FP8 = QWEN3_8B | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
SHAPE = ModelShape.of(QWEN3_8B)


def server(name, share=0.475, length=2048, sequences=4, **more):
    return ServerMemory.of(
        name, SHAPE, share=share, length=length, sequences=sequences, **({"quantization": "fp8"} | more)
    )


DEEPSEEK = server("deepseek")
QWEN = server("qwen", sequences=3, adapters=2, rank=16)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(QWEN3_8B, 8_190_735_360), (QWEN25_05B, 494_032_768), (LLAMA2_7B, 6_738_415_616)],
    ids=["Qwen3-8B", "Qwen2.5-0.5B", "Llama-2-7B"],
)
def test_parameters_are_the_published_ones(config, parameters):
    assert ModelShape.of(config).parameters == parameters


def test_the_packaged_model_has_the_parameters_that_its_file_holds():
    folder = packaged_model()
    with safe_open(folder / "model.safetensors", "np") as file:
        slices = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  (no mapping)
    held = sum(rows[0] * (rows[1] if len(rows) > 1 else 1) for rows in slices)
    assert ModelShape.read(folder).parameters == held == 134_515_008


def test_a_server_of_qwen3_8b_in_fp8_takes_9_4_gb_before_its_cache_and_0_147_mb_a_token():
    assert (DEEPSEEK.weights + DEEPSEEK.embeddings) / 1e9 == pytest.approx(9.44, abs=0.01)
    assert DEEPSEEK.embeddings == 2 * 151936 * 4096 * 2
    assert SHAPE.cache_per_token == 147_456
    assert WORKING + CONTEXT == GIB
    assert ModelShape.of(STORED_FP8).weight_bytes() == SHAPE.weight_bytes("fp8") < SHAPE.weight_bytes()


def test_the_cache_holds_every_sequence_at_full_length_in_whole_blocks():
    assert server("a", length=2048, sequences=4).cache == (4 * 2048 + 128) * 147_456
    assert server("a", length=2049, sequences=4).cache == (4 * 2176 + 128) * 147_456


def test_an_adapter_s_slot_is_what_peft_would_write_for_every_matrix():
    queries, keys = 32 * 128, 8 * 128
    layer = 2 * (4096 + queries) + 2 * (4096 + keys) + 3 * (4096 + 12288)
    assert SHAPE.adapter_bytes(16) == 16 * 2 * (36 * layer + 2 * (151936 + 4096))
    assert QWEN.adapters == 2 * SHAPE.adapter_bytes(16)


def test_both_servers_fit_on_one_l4():
    plan = MemoryPlan(L4, (DEEPSEEK, QWEN))
    plan.require()
    assert plan.fits
    left = L4 - sum(each.share * L4 + CONTEXT for each in plan.servers)
    assert 0 <= left < GIB // 2


@pytest.mark.parametrize(
    ("servers", "sentence"),
    [
        ((DEEPSEEK, QWEN, server("third")), "these servers do not fit together"),
        ((DEEPSEEK, server("bfloat16", quantization="")), "bfloat16 does not fit in its share"),
        ((DEEPSEEK, server("bfloat16", quantization="", share=0.9)), "these servers do not fit together"),
        ((server("long", length=8192, sequences=2),), "long does not fit in its share"),
        ((server("old-default", share=0.45, length=8192, sequences=1),), "old-default does not fit in its share"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_table(servers, sentence):
    with pytest.raises(Refused, match=sentence) as refused:
        MemoryPlan(L4, servers).require()
    head, *rows = refused.value.got.splitlines()
    assert head.split() == ["server", "weights", "embeddings", "adapters", "cache", "working", "together", "share"]
    assert [row.split()[0] for row in rows] == [each.name for each in servers]
    numbers = [float(number) for number in rows[0].split()[1:]]
    assert sum(numbers[:5]) == pytest.approx(numbers[5], abs=0.03)


def test_a_new_release_is_loaded_beside_the_old_one_only_where_it_fits():
    new = replace(DEEPSEEK, name="deepseek-2")
    assert MemoryPlan(L4, (DEEPSEEK, QWEN)).place(new, instead_of="deepseek") == "in turn"
    assert MemoryPlan(L4, (DEEPSEEK,)).place(new, instead_of="deepseek") == "beside"
    assert MemoryPlan(80 * GIB, (replace(DEEPSEEK, share=0.2), replace(QWEN, share=0.2))).place(
        replace(new, share=0.2), instead_of="qwen"
    ) == "beside"  # fmt: skip
    with pytest.raises(Refused, match="larger does not fit in its share"):
        MemoryPlan(L4, (DEEPSEEK, QWEN)).place(server("larger", quantization=""), instead_of="deepseek")
    with pytest.raises(ConfigError, match="no such server"):
        MemoryPlan(L4, (DEEPSEEK, QWEN)).place(new, instead_of="lag-llama")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model_type": "mixtral"}, "the memory of this model is not known"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is none"),
        ({"vocab_size": None}, "vocab_size is none"),
        ({"quantization_config": {"quant_method": "awq"}}, "the memory of this quantization is not known"),
    ],
)
def test_a_configuration_that_is_not_known_is_refused(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ModelShape.of(QWEN3_8B | wrong)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(MissingData, match="no configuration"):
        ModelShape.read(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="no JSON"):
        ModelShape.read(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(STORED_FP8))
    assert ModelShape.read(tmp_path).stored == "fp8"
