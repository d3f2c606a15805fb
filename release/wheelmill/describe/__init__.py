"""A project as data: its file, what is wrong with it, and its cells."""

from __future__ import annotations

from wheelmill.describe.cells import Cell, cells, select
from wheelmill.describe.load import Described, find, load
from wheelmill.describe.model import ProjectError, ProjectFile

__all__ = ["Cell", "Described", "ProjectError", "ProjectFile", "cells", "find", "load", "select"]
