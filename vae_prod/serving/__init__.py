"""Serving: exports, and what is inside of them."""
