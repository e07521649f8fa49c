"""Measurements of this project against other ways to do the same, both sides in one run: ``python -m bench``."""
