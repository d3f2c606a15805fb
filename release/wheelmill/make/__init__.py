"""From a cell of the matrix to its wheel: plan, toolchain, engines, bundle, assembly, reproduction."""
