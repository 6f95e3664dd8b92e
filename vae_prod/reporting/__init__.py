"""Figures for people: grids of images, charts, the projector, HTML reports."""
