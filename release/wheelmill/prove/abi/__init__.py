"""In which torches a compiled extension runs: what it needs of their C++ interface, against records of it.

A record is made from a torch wheel alone (`torch_wheel`, `interface`, `headers`), kept in a small file
(`kept`), and compared with what an extension wheel needs (`extension`) by named checks (`obstacles`). What
comes out is a window (`window`). Nothing of torch or of the extension is ever imported or run.
"""
