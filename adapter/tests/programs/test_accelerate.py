"""`accelerate` moves a model after its optimizer was made: the optimizer trains what was moved."""

import accelerate
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from accelerate.state import AcceleratorState
from torch import nn

STEPS = 10


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.mix = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        return self.head(self.mix(self.tokens(tokens)))


def batches():
    tokens = torch.arange(16 * STEPS) % 11
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(tokens, (tokens + 1) % 11), batch_size=16
    )


def train(**options):
    """The losses and the weights after training, and the device that the weights are on."""
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(**options)
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=STEPS)
    model, optimizer, data, schedule = accelerator.prepare(model, optimizer, batches(), schedule)
    losses = []
    for tokens, targets in data:
        with accelerator.accumulate(model):
            loss = F.cross_entropy(model(tokens), targets)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(accelerator.gather(loss.detach()).mean().item())
    plain = accelerator.unwrap_model(model)
    assert plain.head.weight is plain.tokens.weight
    return losses, {name: value.cpu() for name, value in plain.state_dict().items()}, plain.head.weight.device


@pytest.fixture(scope="module", params=[1, 2], ids=["each batch", "two batches"])
def accumulated(request):
    """How many batches make a step, and what training on the CPU gives."""
    losses, weights, device = train(cpu=True, gradient_accumulation_steps=request.param)
    assert device.type == "cpu"
    assert losses[-1] < 0.95 * losses[0]
    return request.param, losses, weights


def test_every_loss_and_weight_is_the_cpus(accumulated):
    steps, expected, expected_weights = accumulated
    losses, weights, device = train(gradient_accumulation_steps=steps)
    assert device == torch.device("npu", 0)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(weights, expected_weights, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_mixed_precision_trains_like_it(accumulated, precision):
    steps, expected, _weights = accumulated
    losses, _weights, device = train(mixed_precision=precision, gradient_accumulation_steps=steps)
    assert device == torch.device("npu", 0)
    torch.testing.assert_close(losses, expected, rtol=5e-2, atol=5e-2)


def test_a_run_goes_on_from_what_was_saved(tmp_path):
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = accelerate.Accelerator()
    model = Tied()
    model, _optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    before = model.head.weight.detach().cpu().clone()
    accelerator.save_state(str(tmp_path))
    with torch.no_grad():
        model.head.weight.zero_()
    torch.randn(3, device="npu")
    accelerator.load_state(str(tmp_path))
    assert torch.equal(model.head.weight.cpu(), before)
    assert model.head.weight is model.tokens.weight
