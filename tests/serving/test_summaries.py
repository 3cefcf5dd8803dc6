import numpy as np
import pandas as pd
import pytest

from hyperadapters.labels import LabelSpace
from hyperadapters.serving.summaries import summaries_of
from hyperadapters.tables.aggregates import aggregates_of, moments_of


@pytest.mark.parametrize("names", [("fine", "toxic"), (1, 2, 3)])
def test_summaries_are_those_of_the_aggregates(names):
    labels = LabelSpace(names)
    p = np.random.default_rng(0).dirichlet(np.ones(len(names)), size=(20, 4))
    decided = p.argmax(axis=2)
    rows = pd.DataFrame(
        {
            "text_id": np.repeat(np.arange(20), 4),
            "predicted": labels.decode(decided.ravel()),
            **dict(zip(labels.columns, p.reshape(-1, len(names)).T, strict=True)),
        }
    )
    wanted = aggregates_of(moments_of(rows, labels), labels)
    found = summaries_of(p, decided, labels)
    assert [text["predicted"] for text in found] == wanted["predicted"].tolist()
    for key, columns in (("p", list(labels.columns)), ("share", [f"share_{n}" for n in names])):
        np.testing.assert_allclose([text[key] for text in found], wanted[columns], atol=1e-6)
    told = [text["disagreement"] for text in found]
    np.testing.assert_allclose(told, wanted["disagreement"], atol=1e-6)
