"""Colours that people with any colour vision tell apart, on white and on black.

Hues are those of Okabe & Ito 2008, moved to a contrast of at least 3 to 1 for shapes and 4.5 to 1
for text. Pictures are drawn in the light colours; in the page each of them is a variable.
"""

LIGHT = {
    "ink": "#1b1d21",
    "soft": "#5a6068",
    "line": "#d5d9de",
    "paper": "#ffffff",
    "link": "#0a58a8",
    "blue": "#0072b2",
    "orange": "#c55200",
    "green": "#00855f",
    "pink": "#b0588f",
    "brown": "#7a5c00",
}
DARK = {
    "ink": "#e6e8eb",
    "soft": "#a3abb5",
    "line": "#3a4048",
    "paper": "#14171a",
    "link": "#7db8f5",
    "blue": "#56b4e9",
    "orange": "#f0883e",
    "green": "#2fc79a",
    "pink": "#e295c4",
    "brown": "#d9b44a",
}
SERIES = ("blue", "orange", "green", "pink", "brown")
"""Names of the colours of what is told apart in a picture, in their order."""

MARKERS = ("o", "s", "^", "D", "v")
"""Shapes that go with them, for print without colours."""

SCALE = "cividis"
"""Matplotlib's colours for amounts: even in lightness for any colour vision."""
