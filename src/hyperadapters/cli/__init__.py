"""The command `hyperadapters`: thin layers over the Python interface.

Heavy imports stand inside the functions, so that `--help` answers at once.
"""
