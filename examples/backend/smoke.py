import mini_backend  # noqa: F401 - it registers the backend
import torch

a, b = torch.randn(4, 3), torch.randn(3, 2)
before = torch.mini.allocated()
x = a.to("mini")
assert x.device.type == "mini"
assert torch.mini.allocated() == before + 1
assert torch.mini.address(x) == x.data_ptr()
assert torch.allclose((x @ b.to("mini")).cpu(), a @ b)
print("a matrix product on the device", x.device, "equals the CPU's")
