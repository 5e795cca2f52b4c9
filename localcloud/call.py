"""One API request, parsed by the API's own model: what validation and authorisation look at.

moto parses each request again for itself; its parsers, one for each of AWS's protocols, are used here too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from localcloud.problems import protocol_of
from localcloud.requestlog import Scope, name_action, scope_of

CLIENTS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
"""botocore's name of a service where it differs from the one that signs its requests."""
CLASSIC_BALANCERS = "2012-06-01"
"""The API version of classic load balancers, which sign as elasticloadbalancing too."""


@dataclass(frozen=True)
class Call:
    """A request to an action of a service.

    Args:
        environ: The WSGI environment; its body can be read again from the start.
        body: The body.
    """

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
        return protocol_of(self.service, self.environ)

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
            Exception: moto's parsers raise different ones for a body that is no request of that action.
        """
        if self.model is None or self.operation is None:
            return {}
        request = Request({**self.environ, "wsgi.input": io.BytesIO(self.body)})
        try:
            _, labels = get_service_router(self.model.service_name).match(request)
        except (HTTPException, NotImplementedError):
            labels = {}
        parser = PROTOCOL_PARSERS[determine_request_protocol(self.model, request.content_type)]
        parsed: Mapping[str, Any] = parser(self.operation, map_type=dict).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": self.body,
                "url_path": request.path,
                "url_params": labels,
            }
        )
        return {**labels, **parsed}
