"""Tests in processes of their own, one per rank. A torch without the backend has one test of that."""

import sys
from pathlib import Path

from npu_testing import TORCH

sys.path.insert(0, str(Path(__file__).parent))

if TORCH < (2, 2):
    collect_ignore = ["test_collectives.py", "test_failures.py", "test_fused.py", "test_parallel_training.py"]
