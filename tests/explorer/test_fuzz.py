"""Requests that schemathesis invents from the description: none makes the server fail."""

from collections.abc import Iterator
from copy import deepcopy

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from elboroom.explorer.api.openapi import describe_interface
from tests.support.explored_runs import open_tables
from tests.support.served import served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in describe_interface()["paths"].items()
    for method, operation in methods.items()
}
EVERY = pytest.mark.parametrize(("method", "path"), OPERATIONS)


def can_be_broken(operation):
    """Tell whether something beyond names, which may be any text, has a schema."""
    named = {parameter["name"] for parameter in operation["parameters"]}
    return "requestBody" in operation or bool(named - {"run", "name"})


BREAKABLE = [key for key, operation in OPERATIONS.items() if can_be_broken(operation)]
TIMES = pytest.mark.parametrize("times", [5, pytest.param(60, marks=pytest.mark.full)])


BIT = {"enum": [0, 1]}
BITS = {"type": "array", "items": BIT, "minItems": 36, "maxItems": 36}
POINT = {"type": "array", "items": {"enum": [-0.5, 0, 2]}, "minItems": 2, "maxItems": 2}
POINTS = {"type": "array", "items": POINT, "minItems": 1}
COLUMN = {"enum": ["age", "income", "visits", "smoker", "region", "joined"]}
SUITED = {
    "CompletionRequest": {"x": BITS, "seen": BITS, "method": {"enum": ["grid", "svi", "encoder"]}},
    "DecodeRequest": {"points": POINTS},
    "End": {"point": POINT},
    "EntriesRequest": {
        "values": {
            "type": "object",
            "properties": {"age": {"enum": [40.5, None]}, "smoker": {"enum": ["yes", None]}},
            "additionalProperties": False,
        },
        "hidden": {"type": "array", "items": COLUMN},
        "columns": {"type": "array", "items": COLUMN},
        "pair": {"enum": [["age", "income"], ["region", "visits"], ["joined", "joined"]]},
        "method": {"enum": ["grid", "svi", "encoder"]},
    },
}
"""The parts of bodies that suit the models; what else there is to choose is left as it is."""
OF_TABLES = ("columns", "table", "entries")
SUITED_PARAMETERS = {
    "row": {"enum": [0, 19, 20]},
    "rows": {"enum": ["0", "3,19", "20"]},
    "axes": {"enum": ["0,1", "pca", "1,2"]},
}


def described_for_runs():
    """Describe requests of which most are let in to the model."""
    description = deepcopy(describe_interface())
    for path, methods in description["paths"].items():
        run = {"enum": ["table" if path.endswith(OF_TABLES) else "plane"]}
        for parameter in next(iter(methods.values()))["parameters"]:
            suited = SUITED_PARAMETERS | {"run": run}
            parameter["schema"] = suited.get(parameter["name"], parameter["schema"])
    for name, parts in SUITED.items():
        schema = description["components"]["schemas"][name]
        chosen = {"row", "z", "points", "point"} - set(parts)  # one of these is given
        others = {n: part for n, part in schema["properties"].items() if n not in chosen}
        axes = {"axes": SUITED_PARAMETERS["axes"]} if "axes" in others else {}
        schema |= {"properties": others | parts | axes, "required": list(parts)}
    return description


@pytest.fixture(scope="module")
def address(explored, tmp_path_factory) -> Iterator[str]:
    table = open_tables(tmp_path_factory.mktemp("tables"))["table"]
    with served({"plane": explored["plane"], "table": table}) as found:
        yield found


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as found:
        yield found


def fuzz(strategy, times, address, session, checks):
    """Send so many requests, and return the statuses of the answers."""
    statuses = []

    @settings(max_examples=times, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def send(case):
        answer = case.call(base_url=address.rstrip("/"), session=session)
        case.validate_response(answer, checks=checks)
        statuses.append(answer.status_code)

    send()
    return statuses


@EVERY
@TIMES
def test_requests_that_follow_the_schema_are_answered_by_it(address, session, method, path, times):
    operation = schemathesis.openapi.from_dict(described_for_runs())[path][method]
    statuses = fuzz(operation.as_strategy(), times, address, session, CHECKS)
    assert 429 not in statuses
    assert 200 in statuses or "figures" in path  # of which this run has none


@pytest.mark.parametrize(("method", "path"), BREAKABLE)
@TIMES
def test_requests_that_do_not_are_refused(address, session, method, path, times):
    operation = schemathesis.openapi.from_dict(describe_interface())[path][method]
    strategy = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    checks = [*CHECKS, negative_data_rejection]
    fuzz(strategy, times, address, session, checks)


def test_the_checks_see_an_answer_of_another_schema(address, session):
    wrong = deepcopy(describe_interface())
    wrong["components"]["schemas"]["Runs"]["required"].append("nothing")
    operation = schemathesis.openapi.from_dict(wrong)["/api/runs"]["GET"]
    with pytest.raises(FailureGroup):
        fuzz(operation.as_strategy(), 1, address, session, CHECKS)
