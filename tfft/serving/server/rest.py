"""TF Serving's REST API."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tfft.serving.server import examples, json_tensors, status
from tfft.serving.server.config import ServeConfig
from tfft.serving.server.refusals import (
    InvalidRequestError,
    RefusalError,
    TooLargeError,
    TooSlowError,
    WrongMethodError,
)
from tfft.serving.server.service import Answered, Asked, Service, off_loop
from tfft.serving.server.signatures import rows_of

_LOG = logging.getLogger("tfft.serving")
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?:(?P<metadata>/metadata)|:(?P<verb>classify|regress|predict))?",
    re.ASCII,
)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(service: Service) -> web.Application:
    """Returns the web application of the REST API.

    Args:
        service: Answers the requests.
    """
    app = web.Application(
        client_max_size=service.config.max_body_bytes, middlewares=[_told_errors]
    )

    async def answer(request: web.Request) -> web.Response:
        asked, verb = _read_path(request.path)
        if verb in _GETS:
            _expect(request, "GET")
            return _json(_GETS[verb](service, asked))
        _expect(request, "POST")
        with service.admitted():
            body = await _body(request, service.config)
        given = await off_loop(len(body), json_tensors.parse, body)
        name = given.get("signature_name", "")
        if not isinstance(name, str):
            raise InvalidRequestError(
                f"signature_name is {name!r:.80}", expected="a text"
            )
        asked = Asked(asked.name, asked.version, asked.label, name)
        found = await _VERBS[verb](service, asked, given, len(body))
        return await off_loop(_size(found), _json, found)

    app.router.add_route("*", "/{path:.*}", answer)
    return app


def _read_path(path: str) -> tuple[Asked, str]:
    """Returns the model and the action that a path names.

    Raises:
        InvalidRequestError: For an unknown path.
    """
    found = _PATH.fullmatch(path)
    if not found:
        raise InvalidRequestError(
            f"no such path: {path[:80]}",
            expected="/v1/models/NAME[/versions/N | /labels/LABEL]"
            "[:predict | :classify | :regress | /metadata]",
        )
    version = found["version"]
    # Python refuses more than 4,300 digits, and TF Serving numbers beyond 64 bits.
    if version and len(version) > 18:
        raise InvalidRequestError(
            f"version {version[:40]}", expected="at most 18 digits"
        )
    verb = "metadata" if found["metadata"] else found["verb"] or "status"
    return Asked(found["name"], int(version) if version else None, found["label"]), verb


async def _body(request: web.Request, config: ServeConfig) -> bytes:
    limit = config.max_body_bytes
    try:
        if (request.content_length or 0) <= limit:
            async with asyncio.timeout(config.timeout):
                return await request.read()
    except web.HTTPRequestEntityTooLarge:
        pass  # also for chunked bodies, which do not announce their size
    except TimeoutError as error:
        raise TooSlowError(f"no whole body within {config.timeout:g} s") from error
    raise TooLargeError(
        "the body is too large",
        expected=f"at most {limit} bytes",
        fix="send fewer rows, or serve with a larger --max_body_mb",
    )


async def _predict(
    service: Service, asked: Asked, given: Mapping[str, Any], size: int
) -> dict[str, Any]:
    by_row = json_tensors.is_by_row(given)
    found = await service.answer(
        asked, lambda signature: json_tensors.arrays_of(given, signature), size
    )
    rows = rows_of(found.inputs)
    arrays = found.outputs
    size = sum(array.nbytes for array in arrays.values())
    return await off_loop(size, json_tensors.answer_of, arrays, by_row, rows)


async def _by_examples(
    service: Service, asked: Asked, given: Mapping[str, Any], size: int
) -> Answered:
    serialized = await off_loop(size, examples.examples_of_json, given)
    return await service.answer(
        asked, lambda signature: examples.arrays_of(serialized, signature), size
    )


async def _classify(
    service: Service, asked: Asked, given: Mapping[str, Any], size: int
) -> dict[str, Any]:
    found = await _by_examples(service, asked, given, size)
    return {"results": examples.classes_of(found.outputs, len(given["examples"]))}


async def _regress(
    service: Service, asked: Asked, given: Mapping[str, Any], size: int
) -> dict[str, Any]:
    found = await _by_examples(service, asked, given, size)
    return {"results": examples.values_of(found.outputs, len(given["examples"]))}


_VERBS = {"predict": _predict, "classify": _classify, "regress": _regress}
_GETS = {
    "status": lambda service, asked: status.status_json(
        status.status_of(service, asked)
    ),
    "metadata": lambda service, asked: status.metadata_json(
        status.metadata_of(service, asked)
    ),
}


def _expect(request: web.Request, method: str) -> None:
    if request.method != method:
        raise WrongMethodError(f"{request.method} {request.path[:80]}", expected=method)


def _size(found: Mapping[str, Any]) -> int:
    """Returns the approximate number of bytes of a response."""
    values = next(iter(found.values()))
    return 1024 * len(values) if isinstance(values, list | dict) else 0


def _json(content: Mapping[str, Any], code: int = 200) -> web.Response:
    body = json.dumps(content, ensure_ascii=False).encode()
    return web.Response(body=body, status=code, content_type="application/json")


@web.middleware
async def _told_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Turns an error into a response in TF Serving's form."""
    try:
        return await handler(request)
    except RefusalError as error:
        return _json({"error": str(error)}, error.http)
    except web.HTTPException as error:
        return _json({"error": error.reason}, error.status)
    except Exception as error:
        _LOG.exception("a bug in answering %s %s", request.method, request.path)
        return _json({"error": f"bug: {type(error).__name__}: {error}"}, 500)
