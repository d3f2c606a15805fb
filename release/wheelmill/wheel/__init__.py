"""Wheels as files: written, rewritten, compared. Nothing is judged here."""
