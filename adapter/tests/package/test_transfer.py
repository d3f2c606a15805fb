"""A program that was written for CUDA, with one import more."""

import subprocess
import sys
import textwrap

import pytest
import torch

pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils, "generate_methods_for_privateuse1_backend"), reason="needs torch 2.1"
)


def run(program):
    text = "import torch, torch_npu\nfrom torch_npu.contrib import transfer_to_npu\n" + textwrap.dedent(
        program
    )
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, check=False
    )


def test_a_training_script_for_cuda_trains(tmp_path):
    done = run(
        f"""
        from torch.cuda.amp import GradScaler, autocast
        assert torch.cuda.is_available() and torch.cuda.device_count() == 2
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        assert str(device) == "npu:0" and isinstance(device, torch.device)
        torch.cuda.set_device(0)
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = GradScaler()
        x, y = torch.randn(32, 8).cuda(non_blocking=True), torch.zeros(32, 1, device="cuda")
        losses = []
        for _ in range(10):
            with autocast():
                loss = torch.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        assert losses[-1] < losses[0], losses
        assert x.is_cuda and not torch.ones(1).is_cuda
        torch.cuda.synchronize()
        torch.save(model.state_dict(), {str(tmp_path / "m.pt")!r})
        loaded = torch.load({str(tmp_path / "m.pt")!r}, map_location="cuda:0")
        assert all(value.device.type == "npu" for value in loaded.values())
        print("trained")
        """
    )
    assert done.stdout.strip() == "trained", done.stderr


def test_devices_in_every_place():
    done = run(
        """
        assert torch.zeros(2).to("cuda").device.type == "npu"
        assert torch.zeros(2).to(device="cuda:1").device.type == "npu"
        assert torch.zeros(2).to("cuda:1").device.index == 1
        assert torch.zeros(2).to(0).device.type == "npu"
        assert torch.zeros(2).to(1, torch.float16).device.index == 1
        assert torch.nn.Linear(2, 2).to(1).weight.device.index == 1
        assert torch.zeros(2).cuda(1).new_zeros(3, device="cuda:0").device.index == 0
        assert torch.nn.Linear(2, 2).to("cuda").weight.device.type == "npu"
        assert torch.nn.Linear(2, 2, device="cuda").weight.device.type == "npu"
        generator = torch.Generator(device="cuda")
        assert generator.device.type == "npu" and isinstance(generator, torch.Generator)
        assert torch.rand(3, generator=generator, device="cuda").device.type == "npu"
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert torch.mm(torch.ones(2, 2).cuda(), torch.ones(2, 2).cuda()).dtype is torch.bfloat16
        kept = torch.ones(8).cuda()
        assert torch.cuda.memory_allocated() > 0
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            assert torch.cuda.current_stream() == stream
        assert torch.cuda.get_device_name(0) == torch.npu.get_device_name(0)
        assert torch.zeros(2, device="cpu").device.type == "cpu"
        print("moved")
        """
    )
    assert done.stdout.strip() == "moved", done.stderr
