"""Any torch_npu wheel against the capability groups, on the simulator."""
