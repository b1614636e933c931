"""The OpenAPI description of the interface, from the table of endpoints."""

import re
from typing import Any

import msgspec

from elboroom import __version__
from elboroom.explorer.api.endpoints import ENDPOINTS, Endpoint, Failed, Runs

_REFERENCE = "#/components/schemas/{name}"
_PARTS = {
    "run": {"type": "string", "description": "the id of a run, as /api/runs lists it"},
    "row": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "description": "a row, from 0"},
    "name": {"type": "string", "description": "the name of a figure"},
}
_FAILURES = {
    400: "the request does not follow its schema",
    403: "the request comes from another site",
    404: "there is no such run, row or figure",
    413: "the body is larger than 1 MB",
    422: "the request does not suit the run; the error says why",
    429: "too many requests are waiting; try again after Retry-After seconds",
    504: "the request took too long",
}


def describe_interface() -> dict[str, Any]:
    """Return the OpenAPI description, version 3.1."""
    types = [Runs, Failed, *(t for e in ENDPOINTS for t in (e.takes, e.returns))]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    listed = _operation("List the runs.", [], _json(_reference_to(Runs)), failures=(403,))
    drawn = _operation(
        "Return a figure of the run.",
        [_part("run"), _part("name")],
        {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}},
        failures=(403, 404, 422, 429),
    )
    paths: dict[str, Any] = {"/api/runs": {"get": listed}}
    for endpoint in ENDPOINTS:
        operation = _operation_of(endpoint, components[endpoint.takes.__name__])
        paths[f"/api/runs/{{run}}{endpoint.path}"] = {endpoint.method.lower(): operation}
    paths["/api/runs/{run}/figures/{name}.png"] = {"get": drawn}
    return {
        "openapi": "3.1.0",
        "info": {"title": "elboroom explorer", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _reference_to(kind: type) -> dict[str, str]:
    """Return the reference to the schema of a class."""
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _operation_of(endpoint: Endpoint, takes: dict[str, Any]) -> dict[str, Any]:
    parts = ["run", *re.findall(r"{(\w+)}", endpoint.path)]
    parameters = [_part(name) for name in parts]
    body: dict[str, Any] = {}
    if endpoint.method == "POST":
        schema = _reference_to(endpoint.takes)
        body = {"requestBody": {"required": True, "content": _json(schema)}}
    else:
        parameters += [_query(name, schema, takes) for name, schema in takes["properties"].items()]
    content = _json(_reference_to(endpoint.returns))
    failures = (400, 403, 404, 413, 422, 429, 504)
    return _operation(endpoint.summary, parameters, content, failures) | body


def _operation(
    summary: str,
    parameters: list[dict[str, Any]],
    content: dict[str, Any],
    failures: tuple[int, ...],
) -> dict[str, Any]:
    failed = _json(_reference_to(Failed))
    answers = {str(code): {"description": _FAILURES[code], "content": failed} for code in failures}
    done = {"200": {"description": "the answer", "content": content}}
    return {"summary": summary, "parameters": parameters, "responses": done | answers}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _part(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _PARTS[name]}


def _query(name: str, schema: dict[str, Any], takes: dict[str, Any]) -> dict[str, Any]:
    required = name in takes.get("required", [])
    # null is said by leaving a parameter out.
    kinds = [one for one in schema.get("anyOf", [schema]) if one != {"type": "null"}]
    plain = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {"name": name, "in": "query", "required": required, "schema": plain}
