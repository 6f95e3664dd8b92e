"""Figures for people: plots, charts, the projector, HTML reports."""
