"""The packaged model, and adapters on it that peft wrote, in a shared folder."""

import pytest
from vllm_on_cpu import MODEL, NEUTRAL, RANDOM, RANK, Library

from sapphire.agents.llm.packaged import packaged_model


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The packaged model and two adapters on it: one that changes nothing, and a random one."""
    made = Library(tmp_path_factory.mktemp("weights"))
    base = packaged_model()
    made.add(MODEL, base)
    for repository, changes_nothing in ((NEUTRAL, True), (RANDOM, False)):
        folder = tmp_path_factory.mktemp("adapter")
        write_adapter(base, folder, changes_nothing=changes_nothing)
        made.add(repository, folder)
    return made


def write_adapter(base, folder, *, changes_nothing):
    """As peft writes one that is not trained yet: its second matrices are zero, or random."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    settings = LoraConfig(
        r=RANK,
        lora_alpha=4 * RANK,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        init_lora_weights=changes_nothing,
        task_type="CAUSAL_LM",
    )
    network = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), settings)
    network.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
