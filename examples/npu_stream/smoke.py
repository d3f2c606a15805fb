import npu_stream_demo
import torch

x = torch.empty(5, dtype=torch.int8, device="npu")
assert npu_stream_demo.filled(x, 7).cpu().tolist() == [7] * 5
with torch.npu.stream(torch.npu.Stream()):
    assert npu_stream_demo.stream() == torch.npu.current_stream().npu_stream
    assert (npu_stream_demo.filled(x, 3) + 1).cpu().tolist() == [4] * 5
print("filled on two streams of", torch.npu.get_device_name())
