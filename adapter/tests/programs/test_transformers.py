"""The Trainer of `transformers` trains GPT-2 with tied weights, Llama and BERT as on the CPU."""

import pytest
import torch
import transformers

STEPS = 8
LENGTH = 12
WORDS = 40


class Sentences(torch.utils.data.Dataset):
    """Sentences that count on from their first word, so the next word can be learned."""

    def __len__(self):
        return 4 * STEPS

    def __getitem__(self, index):
        tokens = (7 * index + torch.arange(LENGTH)) % WORDS
        return {"input_ids": tokens, "labels": tokens}


def language_model():
    torch.manual_seed(0)
    sizes = {"vocab_size": WORDS, "n_positions": LENGTH, "n_embd": 16, "n_layer": 2, "n_head": 2}
    no_dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    end = {"bos_token_id": 0, "eos_token_id": 0}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **no_dropout, **end))


def llama():
    torch.manual_seed(0)
    sizes = {"vocab_size": WORDS, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))


def bert():
    torch.manual_seed(0)
    sizes = {"vocab_size": WORDS, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    no_dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
    config = transformers.BertConfig(num_attention_heads=4, **sizes, **no_dropout)
    return transformers.BertForMaskedLM(config)


def train(folder, checkpoint=None, made=language_model, **arguments):
    """The trained model, the loss of each step and the Trainer; it goes on from `checkpoint`."""
    model = made()
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            str(folder),
            per_device_train_batch_size=4,
            max_steps=STEPS,
            learning_rate=1e-2,
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
            **{"save_strategy": "no", **arguments},
        ),
        train_dataset=Sentences(),
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == STEPS
    return model, losses, trainer


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    model, losses, trainer = train(tmp_path_factory.mktemp("cpu"), use_cpu=True)
    assert trainer.args.device.type == "cpu"
    assert losses[-1] < 0.95 * losses[0]
    return model.state_dict(), losses


def assert_trained_on_the_device(model, trainer):
    assert trainer.args.device == torch.device("npu:0")
    assert model.lm_head.weight is model.transformer.wte.weight
    assert {parameter.device for parameter in model.parameters()} == {torch.device("npu:0")}


def test_every_loss_and_weight_is_the_cpus(tmp_path, on_the_cpu):
    model, losses, trainer = train(tmp_path)
    assert_trained_on_the_device(model, trainer)
    weights, expected = on_the_cpu
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)
    found = {name: value.cpu() for name, value in model.state_dict().items()}
    torch.testing.assert_close(found, dict(weights), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("made", [llama, bert])
def test_other_models_train_as_on_the_cpu(tmp_path, made):
    _, expected, _ = train(tmp_path, made=made, use_cpu=True)
    assert expected[-1] < 0.98 * expected[0]
    model, losses, trainer = train(tmp_path, made=made)
    assert trainer.args.device == torch.device("npu:0")
    assert {parameter.device for parameter in model.parameters()} == {torch.device("npu:0")}
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_mixed_precision_trains_like_it(tmp_path, on_the_cpu, kind):
    model, losses, trainer = train(tmp_path, **{kind: True})
    assert_trained_on_the_device(model, trainer)
    torch.testing.assert_close(losses, on_the_cpu[1], rtol=5e-2, atol=5e-2)


def test_a_run_goes_on_from_its_checkpoint(tmp_path, on_the_cpu):
    train(tmp_path, save_strategy="steps", save_steps=STEPS // 2)
    checkpoint = tmp_path / f"checkpoint-{STEPS // 2}"
    assert checkpoint.is_dir()
    _, losses, _ = train(tmp_path, checkpoint=str(checkpoint))
    torch.testing.assert_close(losses, on_the_cpu[1], rtol=1e-3, atol=1e-3)


def test_generation_is_the_cpus(on_the_cpu):
    model = language_model()
    model.load_state_dict(on_the_cpu[0])
    start = torch.arange(3)[None]
    expected = model.generate(start, max_new_tokens=6, do_sample=False, pad_token_id=0)
    found = model.npu().generate(start.npu(), max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(found.cpu(), expected)
    assert model.lm_head.weight is model.transformer.wte.weight


def test_a_saved_model_is_loaded_onto_the_device(tmp_path, on_the_cpu):
    model = language_model()
    model.load_state_dict(on_the_cpu[0])
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, device_map="npu:1")
    assert {parameter.device for parameter in loaded.parameters()} == {torch.device("npu:1")}
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    tokens = torch.arange(LENGTH)[None]
    with torch.no_grad():
        expected, found = model(tokens).logits, loaded(tokens.npu(1)).logits
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)
