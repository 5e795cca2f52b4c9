"""Forwards requests to targets, and answers itself where there is none, as an Application Load Balancer does.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .routing import Fixed, Forward, Redirect, RoutedRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .routing import Routes
    from .targets import Target, TargetPool

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # ALB's own, not configurable
IDLE_TIMEOUT = 60.0  # ALB's default `idle_timeout.timeout_seconds`
WHOLE_BODY = 64 * 1024  # an answer no longer than this is read whole and sent in one write

# RFC 9110 section 7.6.1: these belong to one connection and are never forwarded; nor is Expect, answered here.
HOP_BY_HOP = frozenset({
    "connection", "expect", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
SERVER = "awselb/2.0"

# A connection that breaks in these ways before a byte of the answer has come may be tried again.
BROKEN = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError, aiohttp.ClientOSError)


class Proxy:
    """Handles the requests of one listener."""

    def __init__(self, routes: Callable[[], Routes], session: aiohttp.ClientSession, scheme: str, port: int) -> None:
        self._routes = routes
        self._session = session
        self._scheme = scheme
        self._port = port

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        action = self._routes().action(
            RoutedRequest(
                request.method,
                request.headers.get("Host", ""),
                request.path,
                request.headers,
                list(request.query.items()),
                request.remote or "",
            )
        )
        if isinstance(action, Forward):
            return await self._forward(request, _choose(action))
        if isinstance(action, Fixed):
            return web.Response(
                status=action.status, text=action.body, content_type=action.content_type, headers={"Server": SERVER}
            )
        return self._redirect(request, action)

    async def _forward(self, request: web.BaseRequest, pool: TargetPool | None) -> web.StreamResponse:
        if pool is None:
            return error_page(503)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        headers = self._headers(request)
        attempts = 2 if request.method in IDEMPOTENT and not request.can_read_body else 1
        target: Target | None = None
        while attempts:
            attempts -= 1
            target = pool.pick(avoid=target)
            if target is None:
                return error_page(503)
            try:
                return await self._exchange(request, pool.scheme, target, headers)
            except TimeoutError:
                return error_page(504)
            except (aiohttp.ClientError, OSError) as error:
                if not isinstance(error, BROKEN) or isinstance(error, aiohttp.ClientConnectorError):
                    # A refused connection is a fault of the target, not of the connection: AWS answers 502 at once.
                    break
        return error_page(502)

    async def _exchange(
        self, request: web.BaseRequest, scheme: str, target: Target, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        """Send the request to a target and its answer to the client; raises only while nothing was answered yet."""
        path = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
        url = URL(f"{scheme}://{target.address}:{target.port}{path}", encoded=True)
        body = request.content if request.can_read_body else None
        target.in_flight += 1
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False, ssl=False
            ) as answer:
                return await self._relay(request, answer)
        finally:
            target.in_flight -= 1

    async def _relay(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = _forwardable(answer.headers)
        length = answer.content_length
        if length is not None and length <= WHOLE_BODY and request.method != "HEAD":
            body = await answer.read()  # a failure here is still one before the first byte to the client
            headers.popall("Content-Length", None)
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        if length is None and request.version >= aiohttp.HttpVersion11 and request.method != "HEAD":
            response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Part of the answer is out: a cut connection is the only honest way to report that the rest is missing.
            log.info("the response to %s %s was cut off: %r", request.method, request.raw_path, error)
            if request.transport is not None:
                request.transport.abort()
        return response

    def _headers(self, request: web.BaseRequest) -> CIMultiDict[str]:
        headers = _forwardable(request.headers)
        if request.remote:
            earlier = headers.get("X-Forwarded-For")
            headers["X-Forwarded-For"] = f"{earlier}, {request.remote}" if earlier else request.remote
        headers["X-Forwarded-Proto"] = self._scheme
        headers["X-Forwarded-Port"] = str(self._port)
        if "X-Amzn-Trace-Id" not in headers:
            headers["X-Amzn-Trace-Id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        return headers

    def _redirect(self, request: web.BaseRequest, action: Redirect) -> web.Response:
        host = request.headers.get("Host", "").partition(":")[0]
        known = {
            "#{protocol}": self._scheme.upper(),
            "#{host}": host,
            "#{port}": str(self._port),
            "#{path}": request.rel_url.raw_path.lstrip("/"),
            "#{query}": request.rel_url.raw_query_string,
        }
        parts = [action.protocol, action.host, action.port, action.path, action.query]
        for name, value in known.items():
            parts = [part.replace(name, value) for part in parts]
        protocol, host, port, path, query = parts
        location = f"{protocol.lower()}://{host}:{port}{path}" + (f"?{query}" if query else "")
        return web.Response(status=action.status, headers={"Location": location, "Server": SERVER})


def error_page(status: int) -> web.Response:
    """Return the small page that the load balancer itself answers with."""
    phrase = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}.get(status, HTTPStatus(status).phrase)
    title = f"{status} {phrase}"
    return web.Response(
        status=status,
        text=f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n",
        content_type="text/html",
        headers={"Server": SERVER},
    )


def client_session(source: str | None = None) -> aiohttp.ClientSession:
    """Return a session for connections to targets: keep-alive, and no changes to headers, cookies or bodies.

    Args:
        source: The address to connect from; None leaves it to the kernel.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=IDLE_TIMEOUT, local_addr=(source, 0) if source else None
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=IDLE_TIMEOUT),
    )


async def listen(
    proxy: Proxy, address: str, port: int, context: ssl.SSLContext | None
) -> tuple[asyncio.Server, web.Server]:
    """Open a listener's socket, with TLS when there is a context.

    Raises:
        OSError: The address and port cannot be bound.
    """
    handler = web.Server(proxy.handle, access_log=None, keepalive_timeout=IDLE_TIMEOUT)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(handler, address, port, ssl=context, reuse_address=True, backlog=1024)
    return server, handler


def _choose(action: Forward) -> TargetPool | None:
    if len(action.pools) == 1:
        return action.pools[0][0]
    weights = [weight for _, weight in action.pools]
    if not any(weights):
        return None
    return random.choices([pool for pool, _ in action.pools], weights)[0]  # noqa: S311 - not a secret


def _forwardable(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    drop = HOP_BY_HOP
    connection = headers.get("Connection")
    if connection and connection.lower() not in {"keep-alive", "close"}:
        drop = HOP_BY_HOP | {name.strip().lower() for name in connection.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in drop)
