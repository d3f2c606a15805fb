"""Models of `timm` train with its own optimizers, schedules and losses as on the CPU."""

import pytest
import timm
import timm.loss
import timm.optim
import timm.scheduler
import timm.utils
import torch

pytestmark = pytest.mark.on_demand

STEPS = 4
#: One of each family, as small as its arguments allow.
MODELS = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 2, "patch_size": 8},
    "convnext_atto": {"depths": (1, 1, 1, 1)},
    "efficientnet_lite0": {"drop_path_rate": 0.0},
    "mobilenetv3_small_050": {},
    "swin_tiny_patch4_window7_224": {
        "img_size": 32,
        "window_size": 4,
        "depths": (1, 1),
        "num_heads": (3, 6),
        "drop_path_rate": 0.0,
    },
    "densenet121": {"block_config": (2, 2, 2, 2)},
}


def train(name, device, optimizer="adamw", **options):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=5, drop_rate=0.0, **MODELS[name]).to(device)
    images, labels = torch.randn(STEPS, 4, 3, 32, 32).to(device), torch.arange(4, device=device)
    step = timm.optim.create_optimizer_v2(model, opt=optimizer, lr=5e-3, weight_decay=0.01)
    schedule = timm.scheduler.CosineLRScheduler(step, t_initial=STEPS)
    criterion = timm.loss.LabelSmoothingCrossEntropy(0.1)
    average = timm.utils.ModelEmaV3(model, decay=0.5)
    losses = []
    for epoch, batch in enumerate(images):
        loss = criterion(model(batch), labels)
        step.zero_grad()
        loss.backward()
        timm.utils.dispatch_clip_grad(model.parameters(), value=1.0)
        step.step()
        schedule.step(epoch + 1)
        average.update(model, step=epoch)
        losses.append(loss.item())
    weights = {key: value.cpu() for key, value in average.state_dict().items() if value.is_floating_point()}
    return losses, weights


@pytest.mark.parametrize("name", MODELS)
def test_every_loss_is_the_cpus(name):
    expected, averages = train(name, "cpu")
    losses, found = train(name, "npu")
    torch.testing.assert_close(losses, expected, rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(found, averages, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("optimizer", ["lamb", "nadamw", "adafactor", "lion", "adan", "rmsproptf"])
def test_its_optimizers_give_the_cpus_losses(optimizer):
    expected, _ = train("resnet10t", "cpu", optimizer)
    losses, _ = train("resnet10t", "npu", optimizer)
    torch.testing.assert_close(losses, expected, rtol=5e-3, atol=5e-3)
