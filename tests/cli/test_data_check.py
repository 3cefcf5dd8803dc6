import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hyperadapters.cli.data import app
from hyperadapters.errors import ConfigError, DataError

runner = CliRunner()


def check(*arguments):
    return runner.invoke(app, ["check", *map(str, arguments)])


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "id,comment,worker,toxic,fold\n"
        "1,one,a,[b]no[/b],train\n1,one,b,yes,train\n2,ONE,a,yes,test\n3,two,c,yes,test\n"
    )
    return path


OPTIONS = ["--text", "comment", "--annotator", "worker", "--label", "toxic", "--item", "id"]


def test_what_is_in_the_table(ratings):
    result = check(ratings, *OPTIONS, "--split", "fold")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "rows 4" in lines
    assert "texts 3" in lines
    assert "annotators 3" in lines
    assert "contested texts 100.0%" in lines
    assert "yes 75.0% ######################" in lines
    assert any(line.startswith("[b]no[/b] 25.0%") for line in lines)
    assert "test 2 2 2 1 50.0%" in lines
    assert "! test: 1 of 2 annotators have no row in train (1 of 2 rows)" in lines


def test_leaks_are_flagged_not_refused(ratings):
    flag = "! 1 text in more than one split (leak): "
    refused = check(ratings, *OPTIONS, "--split", "fold")
    assert f"{flag}move them, or train with --allow-leaks" in refused.output
    accepted = check(ratings, *OPTIONS, "--split", "fold", "--allow-leaks")
    assert f"{flag}accepted" in accepted.output


def test_two_texts(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("p,h,annotator,label\nx,y,a,0\nx,y,b,1\n")
    result = check(path, "--text", "p", "--text", "h")
    assert result.exit_code == 0
    assert any(" ".join(line.split()) == "pairs of texts 1" for line in result.output.splitlines())


def test_several_labels_of_an_annotator(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("text,annotator,label\nx,a,no\nx,a,yes\nx,b,no\n")
    with pytest.raises(DataError, match="--join-labels"):
        runner.invoke(app, ["check", str(path)], catch_exceptions=False)
    assert "no+yes" in check(path, "--join-labels").output


def test_no_split_and_no_agreement(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("text,annotator,label\nx,a,0\ny,a,1\n")
    output = check(path).output
    assert "no text has 2 ratings: agreement cannot be measured" in output
    assert "undefined" in output
    assert "their rows" not in output


def test_many_labels_are_cut(tmp_path):
    path = tmp_path / "r.csv"
    rows = [f"t{i},a,{i}\nt{i},b,{i}" for i in range(20)]
    path.write_text("text,annotator,label\n" + "\n".join(rows))
    output = check(path).output
    assert "8 more" in output
    assert "no problems found" in output


def test_faults_are_left_to_the_main_program(tmp_path, ratings):
    assert isinstance(check(tmp_path / "absent.csv").exception, DataError)
    assert isinstance(check(ratings, "--text", "label").exception, ConfigError)


def test_help_does_not_wait_for_pandas():
    code = "import sys, hyperadapters.cli.data; print({'pandas', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.real
def test_real_table(real_data):
    result = check(real_data / "perspectives" / "md_agreement.parquet")
    assert result.exit_code == 0
    assert "148 of 246 annotators have no row in train" in result.output
