"""Blocks and whole denoisers of `diffusers`, from a config, learn to tell noise as on the CPU."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiTTransformer2DModel,
    FluxTransformer2DModel,
    UNet2DConditionModel,
)
from diffusers.models.attention import BasicTransformerBlock

pytestmark = pytest.mark.on_demand

STEPS = 4


class Block(torch.nn.Module):
    """A transformer block with cross attention, as Stable Diffusion has them."""

    def __init__(self):
        super().__init__()
        self.block = BasicTransformerBlock(16, 2, 8, cross_attention_dim=12)

    def forward(self, noisy, times, text):
        tokens = noisy.flatten(2).transpose(1, 2)
        return self.block(tokens, encoder_hidden_states=text).transpose(1, 2).reshape(noisy.shape)


class Unet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = UNet2DConditionModel(
            sample_size=8,
            in_channels=16,
            out_channels=16,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=12,
            attention_head_dim=4,
            norm_num_groups=4,
        )

    def forward(self, noisy, times, text):
        return self.net(noisy, times, text).sample


class Dit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=100,
            norm_num_groups=4,
        )
        self.net.eval()  # training drops labels at random

    def forward(self, noisy, times, text):
        labels = torch.arange(len(noisy), device=noisy.device)
        return self.net(noisy, timestep=times, class_labels=labels).sample


class Flux(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=12,
            pooled_projection_dim=12,
            axes_dims_rope=(4, 4, 8),
        )

    def forward(self, noisy, times, text):
        tokens = noisy.flatten(2).transpose(1, 2)
        places = torch.zeros(tokens.size(1), 3, device=noisy.device)
        places[:, 1] = torch.arange(tokens.size(1), device=noisy.device) // noisy.size(3)
        result = self.net(
            hidden_states=tokens,
            timestep=times / 1000,
            img_ids=places,
            txt_ids=torch.zeros(text.size(1), 3, device=noisy.device),
            encoder_hidden_states=text,
            pooled_projections=text.mean(1),
        ).sample
        return result.transpose(1, 2).reshape(noisy.shape)


def train(kind, device, schedule=None):
    torch.manual_seed(0)
    model = kind()
    images, text = torch.randn(2, 16, 8, 8), torch.randn(2, 5, 12)
    noises = torch.randn(STEPS, *images.shape)
    model, images, text, noises = (one.to(device) for one in (model, images, text, noises))
    scheduler = DDPMScheduler(num_train_timesteps=100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for step, noise in enumerate(noises):
        times = torch.tensor([10 + step, 80 - step], device=device)
        noisy = scheduler.add_noise(images, noise, times)
        loss = F.mse_loss(model(noisy, times, text), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", [Block, Unet, Dit, Flux])
def test_every_loss_is_the_cpus(kind):
    expected = train(kind, "cpu")
    assert expected[-1] != expected[0]
    torch.testing.assert_close(train(kind, "npu"), expected, rtol=2e-3, atol=2e-3)


def test_denoising_gives_the_cpus_image():
    results = []
    for device in ("cpu", "npu"):
        torch.manual_seed(0)
        model, sample, text = Unet().eval().to(device), torch.randn(1, 16, 8, 8), torch.randn(1, 5, 12)
        sample, text = sample.to(device), text.to(device)
        scheduler = DDIMScheduler(num_train_timesteps=100)
        scheduler.set_timesteps(4, device=device)
        with torch.no_grad():
            for time in scheduler.timesteps:
                sample = scheduler.step(model(sample, time, text), time, sample).prev_sample
        results.append(sample.cpu())
    torch.testing.assert_close(results[1], results[0], rtol=2e-3, atol=2e-3)


def test_an_autoencoder_learns_as_on_the_cpu():
    results = []
    for device in ("cpu", "npu"):
        torch.manual_seed(0)
        sizes = {
            "block_out_channels": (8,),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "latent_channels": 4,
        }
        model, image = AutoencoderKL(**sizes).to(device), torch.randn(2, 3, 8, 8).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses = []
        for _ in range(STEPS):
            latent = model.encode(image).latent_dist
            loss = F.mse_loss(model.decode(latent.mode()).sample, image) + 1e-3 * latent.kl().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results.append(losses)
    assert results[0][-1] < results[0][0]
    torch.testing.assert_close(results[1], results[0], rtol=2e-3, atol=2e-3)
