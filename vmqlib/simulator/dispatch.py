"""moto as a WSGI application that always answers in the shape of the service that was asked.

moto alone answers an operation it does not have with an HTML page. Here that is an error that boto3 can read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmqlib.simulator.protocols import Answer, Environ, error_answer, identify

__all__ = ["MotoApp"]


class MotoApp:
    """Sends each request to moto's application of that service.

    Creating it loads moto's server, Flask with it.
    """

    def __init__(self) -> None:
        self._dispatcher = _dispatcher()

    def __call__(self, environ: Environ) -> Answer:
        """Answers one request, whose body must be seekable. Whatever goes wrong becomes an error answer."""
        try:
            answer = call_wsgi(self._dispatcher, environ)
        except NotImplementedError as error:
            return self._unimplemented(environ, str(error))
        except Exception as error:  # noqa: BLE001 - moto's mistakes must reach the client as AWS errors, too
            call = self._call(environ)
            text = f"The simulator failed in {call.service}:{call.operation}: {type(error).__name__}: {error}"
            return error_answer(call, 500, _internal_code(call.protocol), text)
        if _is_page(answer) or _found_nothing(environ, answer):
            return self._unimplemented(environ, "")
        return answer

    def _unimplemented(self, environ: Environ, why: str) -> Answer:
        call = self._call(environ)
        what = f"{call.service or 'this service'}:{call.operation or call.method + ' ' + call.path}"
        code = "NotImplemented" if call.protocol == "rest-xml" else "NotImplementedException"
        return error_answer(call, 501, code, f"The simulator does not have {what}. {why}".strip())

    @staticmethod
    def _call(environ: Environ) -> Any:
        environ["wsgi.input"].seek(0)
        return identify(environ)


def call_wsgi(app: Callable[..., Any], environ: Environ) -> Answer:
    """Calls a WSGI application and collects its whole answer."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
        begun.append((status, headers))
        return lambda _data: None

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, headers = begun[-1]
    return Answer(int(status.split(" ", 1)[0]), tuple(headers), body)


def _is_page(answer: Answer) -> bool:
    if answer.status < 400:
        return False
    kind = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
    return kind.startswith("text/html") and answer.body[:15].lower().startswith((b"<!doctype html", b"<html"))


def _found_nothing(environ: Environ, answer: Answer) -> bool:
    """moto's answer when no operation of the service fits method and path."""
    return answer.status == 404 and not answer.body and environ.get("REQUEST_METHOD") != "HEAD"


def _internal_code(protocol: str) -> str:
    return "InternalError" if protocol in ("rest-xml", "query") else "InternalFailure"


def _dispatcher() -> Callable[..., Any]:
    import moto.backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    def create(service: Any) -> Any:
        if service is None:
            raise NotImplementedError("Nothing of that service is simulated.")
        return create_backend_app(service)

    class Dispatcher(DomainDispatcherApplication):
        """moto's own, which would list its package's folders and try 200 patterns for every request."""

        def __init__(self) -> None:
            super().__init__(create)
            self._names = frozenset(moto.backends.list_of_moto_modules()) | {"moto_api"}
            self._known: dict[str, Any] = {}

        def get_backend_for_host(self, host: str | None) -> Any:
            if host is None or host in self._names:
                return host
            if host not in self._known:
                url = f"http://{host}"
                matching = (name for name, pattern in self.backend_url_patterns if pattern.match(url))
                self._known[host] = next(matching, None)
            return self._known[host]

    return Dispatcher()
