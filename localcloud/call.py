"""One API request, parsed by the API's own model: what validation and authorisation read.

moto parses each request again for itself; its parsers, one for each of AWS's protocols, are used here too. Here they
keep a value that is not of its type as it came, so that validation can name it.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS, BaseJSONParser
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from localcloud.problems import protocol_of
from localcloud.requestlog import Scope, name_action, scope_of

CLIENTS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
"""botocore's name of a service where it differs from the one that signs its requests."""
_SHORT = {"smithy-rpc-v2-cbor": "cbor"}
CLASSIC_BALANCERS = "2012-06-01"
"""The API version of classic load balancers, which sign as elasticloadbalancing too."""


class MalformedError(Exception):
    """Raised for a body that is not written in the request's protocol."""


@dataclass(frozen=True)
class Call:
    """A request to an action of a service."""

    environ: Mapping[str, Any]
    body: bytes

    @cached_property
    def scope(self) -> Scope:
        """What it is signed for: service, region, access key id."""
        return scope_of(self.environ)

    @property
    def service(self) -> str:
        """The name that signs the request, such as `elasticloadbalancing`; "" for an unsigned one."""
        return self.scope.service

    @cached_property
    def action(self) -> str:
        """AWS's name of the action."""
        return name_action(self.service, self.environ, self.body)

    @cached_property
    def protocol(self) -> str:
        """The AWS protocol that an error is to be written in; see `localcloud.problems.render`."""
        protocol = protocol_of(self.service, self.environ)
        if self.model is None:
            unnamed = protocol == "query" and self.action == f"{self.method} {self.path}"
            return "rest-xml" if unnamed and not self.service else protocol  # S3 takes what names no service
        spoken = [_SHORT.get(each, each) for each in self.model.metadata.get("protocols", [])]
        return protocol if protocol in spoken else _SHORT.get(self.model.protocol, self.model.protocol)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """The path of the address."""
        return str(self.environ.get("PATH_INFO", "/"))

    @cached_property
    def model(self) -> ServiceModel | None:
        """The service's model, or None of a service that botocore does not know."""
        if not self.service:
            return None
        if self.service == "elasticloadbalancing" and CLASSIC_BALANCERS.encode() in self.body:
            return get_service_model("elb")
        try:
            return get_service_model(CLIENTS.get(self.service, self.service))
        except Exception:  # noqa: BLE001 -- botocore raises one of several for a name that it does not know
            return None

    @cached_property
    def operation(self) -> OperationModel | None:
        """The action's model, or None when the service has no such action."""
        if self.model is None or self.action not in self.model.operation_names:
            return None
        return self.model.operation_model(self.action)

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """The parameters, by the API's names.

        Raises:
            MalformedError: the body is no request.
        """
        return self._parsed[0]

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The names and values of a request that is a form; of another, those of its address."""
        return self._request.values.to_dict()

    @property
    def version(self) -> str:
        """The version of the API that a form is for."""
        return self.form.get("Version", "")

    @cached_property
    def unknown(self) -> list[str]:
        """The parameters that the action does not have, of a request that is a form."""
        _, read = self._parsed
        known = {_without_indices(name) for name in read}
        return [
            name
            for name in (self.form if read else ())
            if _without_indices(name) not in known and not name.startswith(_NOT_PARAMETERS)
        ]

    @cached_property
    def _request(self) -> Request:
        return Request({**self.environ, "wsgi.input": io.BytesIO(self.body)})

    @cached_property
    def _parsed(self) -> tuple[Mapping[str, Any], set[str]]:
        """The parameters, and the names in the form that were looked for."""
        if self.model is None or self.operation is None or self.protocol == "cbor":
            return {}, set()
        request = self._request
        try:
            _, labels = get_service_router(self.model.service_name).match(request)
        except (HTTPException, NotImplementedError):
            labels = {}
        parser = _parser(self.protocol)(self.operation, map_type=dict)
        try:
            parsed: Mapping[str, Any] = parser.parse(
                {
                    "method": request.method,
                    "values": request.values,
                    "headers": request.headers,
                    "body": self.body,
                    "url_path": request.path,
                    "url_params": labels,
                }
            )
            parameters = {**labels, **parsed}
        except Exception as error:  # moto's parsers raise different ones
            raise MalformedError(str(error)) from error
        return parameters, parser.names_read


_NOT_PARAMETERS = ("Action", "Version", "X-Amz-", "AWSAccessKeyId", "Signature", "Timestamp", "SecurityToken")


def _without_indices(name: str) -> str:
    return ".".join(part for part in name.split(".") if not part.isdecimal())


@functools.cache
def _parser(protocol: str) -> Any:
    """Return moto's parser of a protocol, changed to keep values that are not of their type as they came."""
    base: Any = PROTOCOL_PARSERS[protocol]

    class Parser(base):
        """Notes in `names_read` which names it looks for in a form."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.names_read: set[str] = set()

        def _parse_shape(self, shape: Any, node: Any, *prefix: str) -> Any:
            self.names_read.update(prefix)
            try:
                parsed = super()._parse_shape(shape, node, *prefix)
            except (ValueError, TypeError, AttributeError, OverflowError):
                parsed = None
            raw = node.get(prefix[0]) if prefix and prefix[0] else getattr(node, "text", node)
            if isinstance(raw, str) and shape.type_name == "boolean":
                return raw if raw.lower() not in {"true", "false"} else raw.lower() == "true"
            return raw if parsed is None else parsed

        def _parse_list(self, shape: Any, node: Any, *prefix: str) -> Any:
            if issubclass(base, BaseJSONParser) and not isinstance(node, list):
                return node
            return super()._parse_list(shape, node, *prefix)

        def _parse_body_as_json(self, body_contents: bytes) -> Any:
            return json.loads(body_contents or b"{}")

    return Parser
