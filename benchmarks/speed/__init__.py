"""How fast it is, beside what one would use instead: `python -m benchmarks.speed`.

Every number is a ratio, measured in pairs: one side and then the other, in the same process on the
same input. `cases` holds what is measured, `models` how each side is made, `bars` what has to hold.
"""
