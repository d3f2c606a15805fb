"""What programs import by name: `from torch_npu.contrib import transfer_to_npu`."""
