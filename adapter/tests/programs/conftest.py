"""These programs make their models and data; a hub must not be asked."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
