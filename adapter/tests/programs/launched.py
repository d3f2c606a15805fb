"""A training program as launchers start it: one process per rank. The first rank writes what it learned.

launched.py accelerate|trainer FILE
"""

import json
import os
import sys
from pathlib import Path

import torch

STEPS = 6


def numbers():
    tokens = torch.arange(16 * STEPS) % 11
    return torch.utils.data.TensorDataset(tokens, (tokens + 1) % 11)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Embedding(11, 8), torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 11)
    )


def with_accelerate():
    import accelerate

    split = accelerate.utils.DataLoaderConfiguration(split_batches=True)
    accelerator = accelerate.Accelerator(dataloader_config=split)
    module = model()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    loader = torch.utils.data.DataLoader(numbers(), batch_size=16)
    module, optimizer, loader = accelerator.prepare(module, optimizer, loader)
    losses = []
    for tokens, targets in loader:
        loss = torch.nn.functional.cross_entropy(module(tokens), targets)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(accelerator.gather(loss.detach()).mean().item())
    return losses, accelerator.num_processes, str(accelerator.device)


class Regression(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = model()

    def forward(self, tokens, labels):
        logits = self.layers(tokens)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def with_trainer():
    import transformers

    arguments = transformers.TrainingArguments(
        sys.argv[2] + ".trainer",
        per_device_train_batch_size=16 // int(os.environ.get("WORLD_SIZE", "1")),
        max_steps=STEPS,
        learning_rate=1e-2,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        use_cpu=len(sys.argv) > 3,
    )
    rows = [{"tokens": tokens, "labels": labels} for tokens, labels in numbers()]
    trainer = transformers.Trainer(Regression(), arguments, train_dataset=rows)
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(rows)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, arguments.world_size, str(arguments.device)


if __name__ == "__main__":
    losses, processes, device = {"accelerate": with_accelerate, "trainer": with_trainer}[sys.argv[1]]()
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    if rank == 0:
        backend = torch.distributed.get_backend() if torch.distributed.is_initialized() else None
        learned = {"losses": losses, "processes": processes, "device": device, "backend": backend}
        Path(sys.argv[2]).write_text(json.dumps(learned))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
