import pytest


@pytest.fixture(scope="module")
def table(pytestconfig):
    return pytestconfig.pluginmanager.get_plugin("families_table")


@pytest.fixture
def record(table):
    def make(column: str, outcome: str, family: str = "BERT", **rest):
        return table.Record(family, column, outcome, **rest)

    return make


def test_a_cell_is_yes_when_all_its_tests_passed(table, record):
    cells = table.aggregate([record("removed", "passed"), record("removed", "passed")])["BERT"]
    assert cells["removed"] == "yes"
    assert {cells[column] for column in table.COLUMNS if column != "removed"} == {"not run"}


@pytest.mark.parametrize("outcomes", [["failed"], ["passed", "failed"], ["failed", "no cache"]])
def test_one_failure_is_enough(table, record, outcomes):
    records = [record("generation", outcome) for outcome in outcomes]
    assert table.aggregate(records)["BERT"]["generation"] == "FAILED"


def test_what_was_left_out_is_said(table, record):
    records = [
        record("generation", "passed"),
        record("generation", "no static cache"),
        record("generation", "no static cache"),
        record("checkpointing", "not supported"),
    ]
    cells = table.aggregate(records)["BERT"]
    assert cells["generation"] == "yes (no static cache)"
    assert cells["checkpointing"] == "not supported"


def test_a_column_that_does_not_apply_has_a_reason(table, record):
    reason = {"generation": "no generation: encoder"}
    cells = table.aggregate([record("removed", "passed", not_applicable=reason)])["BERT"]
    assert cells["generation"] == "no generation: encoder"
    # A test that ran says more than the reason why there should be none.
    records = [record("generation", "failed", not_applicable=reason)]
    assert table.aggregate(records)["BERT"]["generation"] == "FAILED"


def test_families_stand_in_the_order_of_the_tests_not_of_the_reports(table, record):
    late, early = ("ALBERT", {"order": 1}), ("T5", {"order": 0})
    records = [record("removed", "passed", name, **rest) for name, rest in (late, early)]
    assert list(table.aggregate(records)) == ["T5", "ALBERT"]


def test_the_text_names_the_command_and_has_no_empty_cell(table, record):
    text = table.render(table.aggregate([record("removed", "passed")]), "pytest x", "torch 1")
    assert "`pytest x`\nwith torch 1." in text
    head, rule, row = text.splitlines()[-3:]
    assert head.count("|") == rule.count("|") == row.count("|") == len(table.COLUMNS) + 2
    assert "||" not in row.replace(" ", "")
    assert row.startswith("| BERT |") and row.endswith("| yes |")
