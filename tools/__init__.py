"""Command-line programs, run as ``python -m tools.NAME``."""
