"""A program of `pytorch-lightning` trains on an accelerator that it names itself, as on the CPU."""

import pytest
import pytorch_lightning as lightning
import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_lightning.accelerators import Accelerator
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.strategies import SingleDeviceStrategy

pytestmark = pytest.mark.on_demand

STEPS = 8


class Npu(Accelerator):
    """What Lightning asks of a device that it does not know, with torch.npu's answers."""

    def setup_device(self, device):
        torch.npu.set_device(device)

    def teardown(self):
        torch.npu.empty_cache()

    def get_device_stats(self, device):
        return torch.npu.memory_stats(device)

    @staticmethod
    def parse_devices(devices):
        return list(range(devices)) if isinstance(devices, int) else devices

    @staticmethod
    def get_parallel_devices(devices):
        return [torch.device("npu", index) for index in devices]

    @staticmethod
    def auto_device_count():
        return torch.npu.device_count()

    @staticmethod
    def is_available():
        return torch.npu.is_available()

    @staticmethod
    def name():
        return "npu"


class Classifier(lightning.LightningModule):
    def __init__(self, width=16):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(6, width), torch.nn.BatchNorm1d(width), torch.nn.GELU(), torch.nn.Linear(width, 3)
        )
        self.losses, self.checked = [], []

    def training_step(self, batch, index):
        x, target = batch
        loss = F.cross_entropy(self.net(x), target)
        self.losses.append(loss.item())
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, index):
        x, target = batch
        self.checked.append(F.cross_entropy(self.net(x), target).item())
        self.log("checked", self.checked[-1])

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=2e-2)
        return {
            "optimizer": optimizer,
            "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS),
        }


def data():
    torch.manual_seed(1)
    x = torch.randn(8 * STEPS, 6)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.argmax(1) % 3), batch_size=8)


def train(folder, device, plugins=(), **options):
    torch.manual_seed(0)
    model = Classifier()
    where = {"accelerator": "cpu"}
    if device == "npu":
        where = {"strategy": SingleDeviceStrategy(device=torch.device("npu", 0), accelerator=Npu())}
    trainer = lightning.Trainer(
        default_root_dir=folder,
        max_epochs=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        plugins=list(plugins),
        **where,
        **options,
    )
    trainer.fit(model, data(), data())
    return model, trainer


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    model, _ = train(tmp_path_factory.mktemp("cpu"), "cpu")
    assert model.losses[-1] < 0.9 * model.losses[0]
    return model


def test_every_loss_is_the_cpus(tmp_path, on_the_cpu):
    model, trainer = train(tmp_path, "npu")
    assert trainer.strategy.root_device == torch.device("npu", 0)
    torch.testing.assert_close(model.losses, on_the_cpu.losses, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.checked, on_the_cpu.checked, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_trains_like_it(tmp_path, on_the_cpu, precision):
    scaler = torch.amp.GradScaler("npu") if precision == "16-mixed" else None
    model, _ = train(tmp_path, "npu", [MixedPrecision(precision, "npu", scaler)])
    torch.testing.assert_close(model.losses, on_the_cpu.losses, rtol=5e-2, atol=5e-2)


def test_accumulated_batches_are_the_cpus(tmp_path):
    expected, _ = train(tmp_path, "cpu", accumulate_grad_batches=2)
    model, _ = train(tmp_path, "npu", accumulate_grad_batches=2)
    torch.testing.assert_close(model.losses, expected.losses, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_goes_from_device_to_cpu_and_back(tmp_path):
    model, trainer = train(tmp_path, "npu")
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    weights = {key: value.cpu() for key, value in model.state_dict().items()}
    for place in ("cpu", "npu"):
        loaded = Classifier.load_from_checkpoint(tmp_path / "last.ckpt", map_location=place)
        assert loaded.device.type == place
        found = {key: value.cpu() for key, value in loaded.state_dict().items()}
        torch.testing.assert_close(found, weights)
