"""schemathesis asks by the API's own description, well and badly: no answer is a fault, and each has its shape."""

import pytest
import web_world
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

HEADERS = {"Host": "localhost", "Authorization": f"Bearer {web_world.TOKEN}"}
CHECKS = ("not_a_server_error", "content_type_conformance", "response_schema_conformance")
FEW = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
def test_no_request_by_the_description_is_a_fault(tmp_path):
    app = web_world.client(tmp_path).app
    checks, asked = [getattr(schemathesis.checks, name) for name in CHECKS], {}
    for operation in schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS).get_all_operations():

        @FEW
        @given(case=operation.ok().as_strategy())
        def ask(case):
            answer = case.call(headers=HEADERS)
            asked.setdefault(case.operation.label, []).append(answer.status_code)
            case.validate_response(answer, checks=checks)

        ask()
    assert len(asked) >= 15 and all(code < 500 for codes in asked.values() for code in codes)
    assert any(200 in codes or 201 in codes for codes in asked.values())
