"""CRC-32C (Castagnoli) of bytes."""

from crc_demo._crc import crc32c

__all__ = ["crc32c"]
