"""What a build needs beside the matrix: the adapter's sources, the target torch, compilers, CMake."""
