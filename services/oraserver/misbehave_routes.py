"""The routes that read, set and clear the faults at run time."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from services.oraserver.faults import Faults, Misbehaviour


def misbehave_routes(misbehaviour: Misbehaviour) -> list[web.RouteDef]:
    """GET, POST and DELETE of `/misbehave`."""

    async def get(_request: web.Request) -> web.Response:
        return web.json_response(misbehaviour.faults.model_dump(exclude_defaults=True))

    async def post(request: web.Request) -> web.Response:
        try:
            faults = Faults.model_validate_json(await request.read())
        except ValidationError as exc:
            errors = [
                {"field": ".".join(map(str, error["loc"])) or "body", "problem": error["msg"]}
                for error in exc.errors(include_url=False, include_input=False)
            ]
            return web.json_response({"errors": errors}, status=422)
        misbehaviour.set(faults)
        return await get(request)

    async def delete(_request: web.Request) -> web.Response:
        misbehaviour.set(Faults())
        return web.Response(status=204)

    return [web.get("/misbehave", get), web.post("/misbehave", post), web.delete("/misbehave", delete)]
