"""Drawings: a table in, shapes in the axes of Matplotlib out. Nothing here computes a result."""
