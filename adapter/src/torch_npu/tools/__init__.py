"""Tools to look for wrong numbers: compare (NPU beside CPU, operator by operator) and overflow."""
