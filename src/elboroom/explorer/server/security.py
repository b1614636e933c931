"""Protection: only this machine's own pages may ask, with bodies of bounded size.

A page of another site that is open in the same browser can send requests to 127.0.0.1, and by DNS
rebinding it can look as if it came from there. The Host header, Origin and Sec-Fetch-Site tell.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elboroom.explorer.server.failures import failed

LARGEST_BODY = 1_000_000
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class TooLargeError(Exception):
    """A body that is larger than 1 MB."""


class OwnSiteOnly:
    """Refuse requests of other sites, and add the headers that protect the page.

    Args:
        app: answers the requests that are let through.
        hosts: the Host headers that name this server, such as "127.0.0.1:8000".
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        reason = self._reason_to_refuse(Headers(scope=scope), scope)
        app = self._app if reason is None else failed(403, "this request is refused", reason)
        return await app(scope, _bounded(receive), _protected(send))

    def _reason_to_refuse(self, headers: Headers, scope: Scope) -> str | None:
        """Return why a request is not of this machine's own pages; None if it is."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return "its Host header does not name this server"
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return "its Origin is another site"
        site = headers.get("sec-fetch-site", "none")
        if site not in ("same-origin", "none") and not _opens_the_page(headers, scope):
            return f"it comes from another site: Sec-Fetch-Site is {site}"
        return None


def _opens_the_page(headers: Headers, scope: Scope) -> bool:
    """Return True for a link of another site to the page itself, which says nothing back to it."""
    is_page = scope["path"] == "/" and scope["method"] == "GET"
    return is_page and headers.get("sec-fetch-mode") == "navigate"


def _bounded(receive: Receive) -> Receive:
    """Raise once a body has become too large, however it is sent."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise TooLargeError
        return message

    return bounded


def _protected(send: Send) -> Send:
    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return protected
