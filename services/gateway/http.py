"""The HTTP side: what the system says of itself, and which portfolios there are."""

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from contracts.portfolio import PortfolioDefined
from services.gateway.auth import Claims, Refused
from services.gateway.engine import Engine
from services.gateway.health import Health, health_of
from services.gateway.session import Authenticate
from services.gateway.websocket import Sockets

CORRELATION_HEADER = "X-Request-ID"
_bearer = HTTPBearer(auto_error=False)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    correlation_id: str


class Portfolios(BaseModel):
    """A page of the portfolios that the token allows, by id."""

    total: int
    portfolios: list[PortfolioDefined]


def http_app(
    engine: Engine,
    sockets: Sockets,
    authenticate: Authenticate,
    not_ready: Callable[[], str | None],
    silent_seconds_max: float,
) -> FastAPI:
    """The gateway's HTTP API and its WebSocket."""
    app = FastAPI(title="Tailstream gateway", version="1", docs_url="/docs", redoc_url=None)
    app.middleware("http")(_correlate)
    app.exception_handler(StarletteHTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_input_problem)

    def holder(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Claims:
        if credentials is None:
            raise HTTPException(401, "Authorization: expected a bearer token, was none")
        found = authenticate(credentials.credentials, time.time())
        if isinstance(found, Refused):
            raise HTTPException(401, found.reason)
        return found

    @app.get("/api/v1/portfolios", responses={401: {"model": Problem}})
    def portfolios(
        claims: Annotated[Claims, Depends(holder)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Portfolios:
        """The portfolios that the token allows, by id; ``parent`` makes them a tree."""
        allowed = [d for portfolio_id, d in sorted(engine.definitions.items()) if claims.allows(portfolio_id)]
        return Portfolios(total=len(allowed), portfolios=allowed[offset : offset + limit])

    @app.get("/health", responses={503: {"model": Health}})
    @app.get("/api/v1/health", responses={503: {"model": Health}})
    def health(response: Response) -> Health:
        """What is up and what is down; 503 names what is down."""
        found = health_of(engine.replicas, not_ready(), time.time(), silent_seconds_max)
        response.status_code = 503 if found.down else 200
        return found

    @app.websocket("/ws/v1")
    async def websocket(socket: WebSocket) -> None:
        await sockets.serve(socket)

    return app


async def _correlate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Every answer repeats the request's id, or gets one."""
    request.state.correlation_id = request.headers.get(CORRELATION_HEADER) or uuid.uuid4().hex
    response = await call_next(request)
    response.headers[CORRELATION_HEADER] = request.state.correlation_id
    return response


async def _http_problem(request: Request, error: Any) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.status_code == 401 else None
    return _problem(request, error.status_code, str(error.detail), headers)


async def _input_problem(request: Request, error: Any) -> JSONResponse:
    details = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}, was {e['input']!r}" for e in error.errors()]
    return _problem(request, 422, "; ".join(details), None)


def _problem(request: Request, status: int, detail: str, headers: dict[str, str] | None) -> JSONResponse:
    problem = Problem(
        title=_TITLES.get(status, "Refused"), status=status, detail=detail, correlation_id=request.state.correlation_id
    )
    return JSONResponse(problem.model_dump(), status, headers, media_type="application/problem+json")


_TITLES = {401: "Unauthorised", 403: "Forbidden", 404: "Not found", 405: "Method not allowed", 422: "Bad request"}
