import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import template

NAMES = st.text(st.characters(blacklist_characters="[].{}!:", codec="utf-8"), min_size=1).filter(
    lambda name: name == name.strip() and not name.isdigit()
)


def test_fields_are_named_in_order_and_once():
    assert template.fields("a: {b} c: {a} {b}") == ("b", "a")


def test_doubled_braces_stand_as_they_are():
    assert template.fill("{{x}} {x}", {"x": "1"}) == "{x} 1"


@given(st.dictionaries(NAMES, st.text(), min_size=1, max_size=4), st.data())
def test_filling_places_cells_beside_each_other(cells, data):
    """Whatever a cell holds, braces too, is put in as it is."""
    order = data.draw(st.permutations(list(cells)))
    filled = template.fill("|".join(f"{{{name}}}" for name in order), cells)
    assert filled == "|".join(cells[name] for name in order)


@pytest.mark.parametrize("text", ["{x}", "{x.__class__}", "{0}", "{{}}", "{", "%s", "{x!r:>9}"])
def test_a_cell_is_never_a_template(text):
    assert template.fill("a {x} b", {"x": text, "0": "no"}) == f"a {text} b"


@pytest.mark.parametrize(
    "field",
    ["{x.__class__}", "{x[0]}", "{x!r}", "{x:>9}", "{}", "{0}", "{ x }", "{x.y}", "{x:{y}}"],
)
def test_only_plain_names_are_fields(field):
    with pytest.raises(ConfigError, match="must be the plain name of a column"):
        template.pieces(f"text {field}")


@pytest.mark.parametrize("text", ["{x", "x}", "{x} {", "{{x}"])
def test_an_open_brace_is_an_error(text):
    with pytest.raises(ConfigError, match="cannot be read"):
        template.pieces(text)


def test_names_may_hold_spaces():
    assert template.fill("review: {Review Text}", {"Review Text": "fine"}) == "review: fine"
