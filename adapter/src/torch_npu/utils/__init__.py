"""What programs import from torch_npu.utils: building C++ extensions, in `cpp_extension`."""
