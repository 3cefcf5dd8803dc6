"""`hyperadapters compare` as a user calls it."""

from hyperadapters.methods import METHODS


def test_a_comparison_and_the_commands_of_its_cells(
    command, ratings_csv, quick_set, tiny_bert, tmp_path
):
    folder = tmp_path / "all"
    given = [ratings_csv, "--methods", "text-only, annotator-mode", "--seeds", "0,2"]
    where = ["--output", folder, "--backbone", tiny_bert, *quick_set]
    where += ["--set", "text-only:epochs=1"]
    outcome = command("compare", *given, *where)
    assert outcome.status == 0, outcome.err
    assert "macro-F1" in outcome.out and "annotator-" in outcome.out
    assert str(folder / "table.md") in outcome.out.replace("\n", "")
    text = (folder / "table.md").read_text(encoding="utf-8")
    (cell,) = [line for line in text.splitlines() if "--method text-only --seed 2" in line]
    assert "--set epochs=1" in cell and "text-only:" not in cell
    assert cell.startswith("hyperadapters train ") and f"--backbone {tiny_bert}" in cell

    # The command that the table names makes the cell.
    import shlex

    words = shlex.split(cell)[1:]
    alone = tmp_path / "alone"
    words[words.index("RUN")] = str(alone)
    assert command(*words).status == 0
    same = [(alone / "scores.json"), (folder / "text-only" / "seed-2" / "scores.json")]
    assert same[0].read_text("utf-8") == same[1].read_text("utf-8")

    again = command("compare", *given, *where, "--resume")
    assert again.status == 0 and "annotator-mode/seed-2 is finished" in again.out + again.err


def test_mistakes(refused, ratings_csv, tmp_path):
    given = ["compare", ratings_csv, "--output", tmp_path / "all", "--methods"]
    assert "did you mean 'intercept'" in refused(*given, "intercpt")
    assert "--seeds wants whole numbers" in refused(*given, "intercept", "--seeds", "0,x")
    assert "named twice" in refused(*given, "intercept,intercept")
    assert "--methods names nothing" in refused(*given, ", ,")
    assert not (tmp_path / "all").exists()


def test_help(command):
    shown = command("compare", "--help").out
    assert "--methods" in shown and "Example" in shown and "paired difference" in shown


def test_every_method_is_what_it_is_called(command, refused, ratings_csv, tmp_path):
    """In `train`, hyperlora with attributes is another method; here it is not."""
    words = " ".join(command("compare", "--help").out.replace("│", " ").split())
    able = [name for name, method in METHODS.items() if "attributes" in method.told]
    assert f"of --methods, {' and '.join(able)} are told" in words
    assert "hyperlora is hyperlora+attributes" not in words
    given = ["compare", ratings_csv, "--attribute", "text_id", "--output", tmp_path / "all"]
    told = refused(*given, "--methods", "hyperlora,intercept")
    assert "none of hyperlora, intercept is told attributes (text_id)" in told
    assert not (tmp_path / "all").exists()


def test_people_whom_no_method_has_seen(
    command, refused, ratings_csv, quick_set, tiny_bert, tmp_path
):
    folder = tmp_path / "all"
    given = ["compare", ratings_csv, "--unseen", "--seeds", "0", "--output", folder]
    more = ["--folds", "4", "--counts", "0,4", "--backbone", tiny_bert, *quick_set]
    outcome = command(*given, "--methods", "hyperlora,text-only", *more)
    assert outcome.status == 0, outcome.err
    assert "nll by known labels" in outcome.out and "k=4" in outcome.out
    assert "people whom no method has seen" in " ".join(outcome.out.split())
    text = (folder / "k_shot.md").read_text(encoding="utf-8")
    assert "| hyperlora, suggested |" in text and "--unseen" in text
    again = command(*given, "--methods", "hyperlora,text-only", *more, "--resume")
    assert again.status == 0 and "is finished" in again.out + again.err

    given = [*given[:-1], tmp_path / "other", "--methods", "intercept"]
    assert "leave --split-by out" in refused(*given, "--split-by", "both")
    assert "--counts wants whole numbers" in refused(*given, "--counts", "1,x")
    assert "chosen by some of" in refused(*given, "--choose", "best")
    assert "nobody who is held out has 32" in refused(*given)
    assert not (tmp_path / "other").exists()
