"""`peft` adds LoRA to a language model: it trains, is merged and saved as on the CPU."""

import peft
import pytest
import torch
import transformers

pytestmark = pytest.mark.on_demand

STEPS = 12
WORDS = 40
MODELS = {
    "GPT-2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=WORDS, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
    ),
    "Llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=WORDS,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=16,
        )
    ),
}
TARGETS = {"GPT-2": ["c_attn", "c_proj"], "Llama": ["q_proj", "v_proj"]}
KINDS = {
    "LoRA": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "with embeddings": {"modules_to_save": ["lm_head"]},
}


def base(name):
    torch.manual_seed(0)
    return MODELS[name]().eval()  # without dropout, whose random numbers differ


def adapted(name, kind, device):
    model = base(name).to(device)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=16, target_modules=TARGETS[name], **KINDS[kind]
    )
    torch.manual_seed(1)
    return peft.get_peft_model(model, config)


def batch(device):
    return ((torch.arange(4)[:, None] + torch.arange(12)) % WORDS).to(device)


def train(model, device):
    trained = [one for one in model.parameters() if one.requires_grad]
    assert len(trained) < len(list(model.parameters()))
    optimizer = torch.optim.AdamW(trained, lr=5e-2)
    losses = []
    tokens = batch(device)
    for _ in range(STEPS):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_it_trains_is_merged_and_loaded_as_on_the_cpu(tmp_path, name, kind):
    ours, theirs = adapted(name, kind, "npu"), adapted(name, kind, "cpu")
    theirs.load_state_dict({key: value.cpu() for key, value in ours.state_dict().items()})
    expected = train(theirs, "cpu")
    assert expected[-1] < 0.98 * expected[0]
    torch.testing.assert_close(train(ours, "npu"), expected, rtol=1e-3, atol=1e-3)

    ours.save_pretrained(tmp_path)
    tokens = batch("npu")
    with torch.no_grad():
        trained = ours(tokens).logits
        merged = ours.merge_and_unload()(tokens).logits
        torch.testing.assert_close(merged, trained, rtol=1e-3, atol=1e-3)
        loaded = peft.PeftModel.from_pretrained(base(name).npu(), tmp_path).eval()
        torch.testing.assert_close(loaded(tokens).logits, trained, rtol=1e-3, atol=1e-3)
    assert {one.device.type for one in loaded.parameters()} == {"npu"}


def test_without_the_adapter_the_model_is_the_base():
    model, tokens = adapted("Llama", "LoRA", "npu"), batch("npu")
    train(model, "npu")
    with torch.no_grad(), model.disable_adapter():
        torch.testing.assert_close(model(tokens).logits, base("Llama").npu()(tokens).logits)
