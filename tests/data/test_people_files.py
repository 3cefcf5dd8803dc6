import pandas as pd
import pytest

from hyperadapters.data import read_attributes
from hyperadapters.errors import DataError


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_tables_of_people(tmp_path, ending):
    frame = pd.DataFrame({"worker": ["7", "8"], "age": [20, 30], "gender": ["x", None]})
    path = tmp_path / f"people.{ending}"
    writers = {
        "csv": lambda: frame.to_csv(path, index=False),
        "tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        "parquet": lambda: frame.to_parquet(path),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
    }
    writers[ending]()
    found = read_attributes(path, annotator="worker")
    assert found["annotator"].tolist() == ["7", "8"]
    assert found["age"].tolist() == [20, 30]
    assert found["gender"][0] == "x" and pd.isna(found["gender"][1])


def test_the_file_of_the_shared_task(tmp_path):
    path = tmp_path / "MP_annotators_meta.json"
    path.write_text('{"Ann1": {"Gender": "Female",}, "Ann2": {"Gender": "Male"}}')
    found = read_attributes(path)
    assert found[["annotator", "gender"]].to_numpy().tolist() == [
        ["Ann1", "Female"], ["Ann2", "Male"],
    ]  # fmt: skip


def test_a_named_column_takes_the_place_of_the_usual_one(tmp_path):
    (tmp_path / "p.csv").write_text("annotator,id,age\n1,a,20\n2,b,30\n")
    assert read_attributes(tmp_path / "p.csv", "id")["annotator"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "what"),
    [("who,age\n1,2\n", "annotator"), ("annotator,age\n,2\n", "column 'annotator' is empty")],
)
def test_what_is_refused(tmp_path, content, what):
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(DataError, match=what):
        read_attributes(tmp_path / "p.csv")
