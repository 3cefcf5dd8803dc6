"""Models with an adapter, and what stock PEFT answers with a folder."""

import pytest
from peft import PeftModel


@pytest.fixture
def adapted(zoo):
    def make(family="BERT", head="SEQ_CLS", **changes):
        case = zoo.Case(family, head)
        return zoo.make_adapted(case, **changes), zoo.make_batch(case)

    return make


@pytest.fixture
def loaded(zoo):
    """The outputs of the plain backbone with a folder."""

    def compute(folder, family="BERT", head="SEQ_CLS"):
        case = zoo.Case(family, head)
        model = PeftModel.from_pretrained(zoo.make_backbone(case), str(folder)).eval()
        return zoo.outputs(model, zoo.make_batch(case))

    return compute
