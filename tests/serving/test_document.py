"""Requests made from the OpenAPI document: nothing crashes, and answers are those promised."""

import shutil
import warnings

import pytest

from hyperadapters.serving.app import create_app

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")


SETTINGS = hypothesis.settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def document(quick_run, tmp_path_factory):
    folder = shutil.copytree(quick_run, tmp_path_factory.mktemp("document") / "run")
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(folder))


# Schemathesis draws at random within its strategies, which Hypothesis does not like.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_every_request_gets_an_answer_of_the_document(document):
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    promised = [
        *(not_a_server_error, checks.status_code_conformance),
        *(checks.content_type_conformance, checks.response_schema_conformance),
    ]
    asked, statuses = [], set()
    for found in document.get_all_operations():
        operation = found.ok()

        @SETTINGS
        @hypothesis.given(case=operation.as_strategy())
        def check(case):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = case.call()
            statuses.add(answer.status_code)
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=promised)
            assert "Traceback" not in answer.text

        check()
        asked.append(operation.label)
    assert len(asked) >= 11 and {200, 404, 422} <= statuses
