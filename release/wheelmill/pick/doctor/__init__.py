"""This machine: what decides which wheel fits (`machine`), and what is wrong (`look`, `checks`, `report`)."""

from __future__ import annotations

from wheelmill.pick.doctor.machine import Machine, examine

__all__ = ["Machine", "examine"]
