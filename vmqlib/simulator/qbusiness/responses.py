"""HTTP in front of the backend: parsed and serialised by moto from botocore's model; every error is JSON."""

from __future__ import annotations

import json
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from vmqlib.simulator.qbusiness.exceptions import AccessDenied, UnknownOperation, Unparsable
from vmqlib.simulator.qbusiness.models import QBusinessBackend, qbusiness_backends

__all__ = ["QBusinessResponse"]

# What IAM's errors are called where a service answers JSON.
_NAMES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


class _Unauthenticated(Exception):
    """The caller is not known (403). The service's model has no such error: it is AWS's own front that answers."""

    status = 403

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.headers = {
            "status": str(self.status),
            "content-type": "application/json",
            "x-amzn-errortype": _NAMES.get(error_type, f"{error_type}Exception"),
        }
        self.body = json.dumps({"message": message})


class QBusinessResponse(BaseResponse):
    """Answers one request."""

    def __init__(self) -> None:
        super().__init__(service_name="qbusiness")
        self.automated_parameter_parsing = True

    @property
    def backend(self) -> QBusinessBackend:
        """The backend of the caller's account and region."""
        backend: QBusinessBackend = qbusiness_backends[self.current_account][self.region]
        return backend

    def parse_parameters(self, request: Any) -> None:
        """Parses by the model; what cannot be parsed is answered later, as JSON."""
        self._unparsable: Exception | None = None
        try:
            if request.data:
                json.loads(request.data)  # moto's parser takes a broken body for an empty one
            super().parse_parameters(request)
        except Exception as error:  # noqa: BLE001 - whatever moto's parser trips over, the client gets a JSON error
            self._unparsable = error

    def call_action(self) -> Any:
        """Authorizes, then lets the backend answer. moto's would answer an unknown one with HTML."""
        try:
            result = ActionResult(self._answer(self._get_action()))
        except _Unauthenticated as error:
            return error.status, {**self.response_headers, **error.headers}, error.body
        except ServiceException as error:
            result = ActionResult(error)
        status, headers, body = self.serialized(result)
        headers, body = self._enrich_response(headers, body)
        return status, headers, body

    def _answer(self, operation: str | None) -> dict[str, Any]:
        if operation is None:
            raise UnknownOperation(f"There is no operation at {self.method} {self.path}.")
        self._authorize()
        if self._unparsable is not None:
            raise Unparsable(f"The request could not be parsed: {self._unparsable}")
        return self.backend.call(operation, self._given(operation))

    def _given(self, operation: str) -> dict[str, Any]:
        """The parameters that were given: moto's parser makes an empty list of a query parameter left out."""
        shape = get_service_model("qbusiness").operation_model(operation).input_shape
        return {
            name: value
            for name, value in self.params.items()
            if value != [] or shape.members[name].serialization.get("location") != "querystring"
        }

    def _authorize(self) -> None:
        """moto's IAM check, with two corrections that a rest-json service needs.

        A GET without a body leaves the headers where the body should be, which then fails the signature; and
        the refusal is XML.
        """
        from moto.core.exceptions import _RESTError

        data: Any = self.data
        self.data = data if self.raw_body else cast("Any", b"")
        try:
            self._authenticate_and_authorize_normal_action(self._resource_arn())
        except _RESTError as error:
            if error.error_type == "AccessDenied":
                raise AccessDenied(error.message) from error
            raise _Unauthenticated(error.error_type, error.message) from error
        finally:
            self.data = data

    def _resource_arn(self) -> str:
        """The ARN that IAM decides about (service authorization reference, "Amazon Q Business")."""
        ids = self.uri_match
        if "applicationId" not in ids:
            return "*"
        whose = f"arn:{self.partition}:qbusiness:{self.region}:{self.current_account}"
        arn = f"{whose}:application/{ids['applicationId']}"
        if "indexId" in ids:
            arn += f"/index/{ids['indexId']}"
        for member, path in (
            ("dataSourceId", "data-source"),
            ("retrieverId", "retriever"),
            ("webExperienceId", "web-experience"),
        ):
            if member in ids:
                arn += f"/{path}/{ids[member]}"
        return arn
