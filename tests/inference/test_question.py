import pandas as pd
import pytest

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import DataError
from hyperadapters.inference import ALL, ROWS, Question, question, rows_for
from hyperadapters.labels import LabelSpace

PEOPLE = Vocabulary(("a", "b", "c"))
LABELS = LabelSpace(("fine", "toxic"))


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "text_id": ["1", "2", "1", "3"],
            "text": ["x", "y", "x", "z"],
            "annotator": ["b", "a", "z", "c"],
            "label": ["fine", None, "toxic", "toxic"],
        },
        index=[5, 6, 7, 9],
    )


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("who", [ALL, "population", ["c", "a"], ROWS])
def test_chunks_together_are_the_whole(table, who, most, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", most)
    asked = Question(table, who, PEOPLE, LABELS)
    pieces = [asked.rows(chunk) for chunk in asked.chunks]
    assert [len(piece) for piece in pieces] == [chunk.n_rows for chunk in asked.chunks]
    assert max(len(piece) for piece in pieces) <= most
    whole = pd.concat(pieces, ignore_index=True)
    pd.testing.assert_frame_equal(whole, rows_for(table, who, PEOPLE), check_dtype=False)
    assert len(asked) == len(whole)
    assert asked.n_known == whole["annotator"].isin(PEOPLE.names).sum()


def test_texts_of_a_chunk(table):
    asked = Question(table, ALL, PEOPLE, LABELS)
    assert [asked.texts(chunk)["text"].tolist() for chunk in asked.chunks] == [["x", "y", "z"]]


@pytest.mark.parametrize(
    ("who", "changes", "message"),
    [
        (ALL, {"label": "rude"}, r"labels \['rude'\] are not among those of the run"),
        (ROWS, {"annotator": "b"}, r"the same text and annotator occur before \(row 3\)"),
        (ALL, {"text_id": "1"}, r"another text has this text_id.*\(rows 2, 4\)"),
        (ALL, {"text_pair": ["p", "q", "r", "s"]}, r"another text has this text_id.*\(row 3\)"),
    ],
)
def test_faults_are_found_before_the_work(table, who, changes, message):
    with pytest.raises(DataError, match=message):
        Question(table.assign(**changes), who, PEOPLE, LABELS)
