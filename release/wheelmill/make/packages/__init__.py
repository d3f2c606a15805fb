"""Wheels of a described project: its own backend or command runs, once per cell or once for shared axes."""
