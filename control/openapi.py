"""The API's own document, OpenAPI 3.1: made of the routes and of what their views declare."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app
from werkzeug.routing import Rule

from cloister import __version__
from control import envelope, errors, operation
from control.converters import Everything
from control.operation import JSON, Operation
from control.paths import API

blueprint = Blueprint("openapi", __name__)

PATH = "/openapi.json"

Schema = dict[str, Any]

_KEY = "cloister.openapi"
_AUTOMATIC = frozenset({"HEAD", "OPTIONS"})
_REFERENCE = "#/components/{kind}/{name}"
_ROLE = re.compile(r":\w+:`~?([^`]+)`|``([^`]+)``")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one route of the API."""

    path: str
    method: str
    rule: Rule
    view: Any
    tag: str
    name: str

    @property
    def said(self) -> Operation:
        """What the view declares."""
        return operation.of(self.view)


@dataclass(frozen=True, kw_only=True)
class _Document:
    """Made once: whoever asks for it need not be known."""

    made: Schema
    encoded: bytes


@blueprint.get(PATH)
@operation.operation(gives={JSON: dict[str, Any]})
def document() -> Response:
    """This document. Needs no token."""
    return Response(current_app.extensions[_KEY].encoded, mimetype=JSON)


def install(app: Flask) -> None:
    """Make the document of all routes that the app has by now."""
    made = _document(list(routes(app)))
    app.extensions[_KEY] = _Document(made=made, encoded=msgspec.json.encode(made))


def of_app() -> Schema:
    """The document of the app that serves the current request."""
    found: _Document = current_app.extensions[_KEY]
    return found.made


def problems() -> list[errors.Problem]:
    """Every kind of refusal, by code."""
    return sorted({each for each in vars(errors).values() if isinstance(each, errors.Problem)})


def routes(app: Flask) -> Iterator[Route]:
    """The API's routes: all but the dashboard's pages and ``/healthz``."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(f"{API}/"):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(API))
        *_, tag, name = rule.endpoint.split(".")
        for method in sorted((rule.methods or set()) - _AUTOMATIC):
            view = app.view_functions[rule.endpoint]
            yield Route(path=path, method=method, rule=rule, view=view, tag=tag, name=name)


def _document(found: list[Route]) -> Schema:
    schemas = _Schemas(found)
    repeated = Counter((route.tag, route.name) for route in found)
    paths: dict[str, Schema] = {}
    for route in found:
        unique = repeated[route.tag, route.name] == 1
        operation_id = f"{route.tag}.{route.name}" + ("" if unique else f".{route.method.lower()}")
        methods = paths.setdefault(route.path, {})
        methods[route.method.lower()] = _operation(route, operation_id, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cloister's management API",
            "version": __version__,
            "description": "Cloudflare's REST API for Workers for Platforms and KV, self-hosted.",
        },
        "servers": [{"url": API}],
        "security": [{"token": []}],
        "tags": [_tag(route) for route in {route.tag: route for route in found}.values()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Refused": _refused()},
            "schemas": schemas.components,
        },
    }


class _Schemas:
    """JSON Schemas of every type that the routes name; structs are components."""

    def __init__(self, found: list[Route]) -> None:
        self._types: list[Any] = [envelope.Message, envelope.Error]
        for said in (route.said for route in found):
            self._types += [said.result, said.info, *said.takes.values(), *said.gives.values()]
        template = _REFERENCE.format(kind="schemas", name="{name}")
        made, self.components = msgspec.json.schema_components(self._types, ref_template=template)
        self._made = list(made)
        for component in self.components.values():
            if "description" in component:
                component["description"] = _prose(component["description"])

    def of(self, kind: Any) -> Schema:
        """The schema of a type."""
        return self._made[self._types.index(kind)]


def _operation(route: Route, operation_id: str, schemas: _Schemas) -> Schema:
    summary, _, rest = inspect.cleandoc(route.view.__doc__ or "").partition("\n\n")
    said: Schema = {
        "operationId": operation_id,
        "tags": [route.tag],
        "summary": _prose(summary),
        "parameters": _parameters(route),
        "responses": _responses(route.said, schemas),
    }
    if rest:
        said["description"] = _prose(rest)
    if route.said.takes:
        said["requestBody"] = {"required": True, "content": _content(route.said.takes, schemas)}
    if route.rule.endpoint.startswith(f"{blueprint.name}."):
        said["security"] = []
    return said


def _parameters(route: Route) -> list[Schema]:
    found = []
    for name in re.findall(r"{(\w+)}", route.path):
        parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if isinstance(route.rule._converters[name], Everything):
            parameter["description"] = "Percent-encoded, slashes too."
        found.append(parameter)
    for name, said in route.said.query.items():
        found.append({"name": name, "in": "query", "schema": said.schema()})
    return found


def _responses(said: Operation, schemas: _Schemas) -> Schema:
    content = _content(said.gives, schemas) or {JSON: {"schema": _success(said, schemas)}}
    refused = {"$ref": _REFERENCE.format(kind="responses", name="Refused")}
    served = {
        str(status): {"description": "Done.", "content": content}
        if status == 200
        else {"description": "Not changed since."}
        for status in said.statuses
    }
    return {**served, "4XX": refused, "5XX": refused}


def _content(by_type: Any, schemas: _Schemas) -> Schema:
    return {name: {"schema": schemas.of(kind)} for name, kind in by_type.items()}


def _success(said: Operation, schemas: _Schemas) -> Schema:
    properties = {
        "success": {"const": True},
        "errors": {"type": "array", "maxItems": 0},
        "messages": {"type": "array", "items": schemas.of(envelope.Message)},
        "result": schemas.of(said.result),
    }
    required = list(properties)
    if said.info is not None:
        properties["result_info"] = schemas.of(said.info)
        required.append("result_info")
    return {"type": "object", "properties": properties, "required": required}


def _refused() -> Schema:
    error = {
        "$ref": _REFERENCE.format(kind="schemas", name=envelope.Error.__name__),
        "properties": {"code": {"enum": sorted({each.code for each in problems()})}},
    }
    properties = {
        "success": {"const": False},
        "errors": {"type": "array", "minItems": 1, "items": error},
        "messages": {"type": "array", "maxItems": 0},
        "result": {"type": "null"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    words = [f"- {each.code}, {each.status}: {each.message}" for each in problems()]
    return {
        "description": "Refused. Codes and statuses:\n\n" + "\n".join(words),
        "headers": {
            "Retry-After": {
                "description": "Seconds; where the token has made too many requests.",
                "schema": {"type": "integer"},
            }
        },
        "content": {JSON: {"schema": schema}},
    }


def _tag(route: Route) -> Schema:
    module = inspect.getmodule(inspect.unwrap(route.view))
    return {"name": route.tag, "description": _prose(inspect.cleandoc(module.__doc__ or ""))}


def _prose(text: str) -> str:
    """A docstring as Markdown, a line for each paragraph."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return _ROLE.sub(lambda found: f"`{found[1] or found[2]}`", text)
