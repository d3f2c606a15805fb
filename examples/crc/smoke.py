import crc_demo

# The check value of CRC-32C, and the empty text.
assert crc_demo.crc32c(b"123456789") == 0xE3069283
assert crc_demo.crc32c(b"") == 0
print("the CRC of 123456789 is", hex(crc_demo.crc32c(b"123456789")))
