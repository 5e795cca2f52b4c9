"""moto's certificate manager, whose certificates load balancers serve."""

from __future__ import annotations

import ssl
from typing import Any

from moto.acm.exceptions import AWSValidationException, CertificateNotFound
from moto.acm.models import AWSCertificateManagerBackend, acm_backends
from moto.core.exceptions import ServiceException
from moto.elbv2.exceptions import ELBClientError
from moto.iam.models import iam_backends

from localcloud.adoption import AdoptedBackend

from .tls import Certificate, read_certificate

SERVER_CERTIFICATE = ":server-certificate/"


class LocalCertificateManagerBackend(AdoptedBackend, AWSCertificateManagerBackend):
    """Keeps listeners in step with their certificates."""

    def import_certificate(self, *args: Any, **kwargs: Any) -> str:
        """Import a certificate, or import one anew, which new connections get at once."""
        before = dict(self._certificates)
        arn: str = super().import_certificate(*args, **kwargs)
        bundle = self._certificates[arn]
        try:
            read_certificate([], bundle.cert, bundle.key)
        except ssl.SSLError as error:
            self._certificates = before
            raise AWSValidationException("The private key does not match the certificate.") from error
        if arn in before:
            bundle.tags = before[arn].tags
            self._load_balancing().renew(arn)
        return arn

    def get_certificate(self, arn: str) -> Any:
        """Return a certificate that knows which load balancers use it."""
        bundle = super().get_certificate(arn)
        bundle.in_use_by = self._load_balancing().balancers_using(arn)
        return bundle

    def delete_certificate(self, arn: str) -> None:
        """Delete a certificate that no listener has."""
        if self._load_balancing().balancers_using(arn):
            raise CertificateInUseError(f"Certificate {arn} in account {self.account_id} is in use.")
        super().delete_certificate(arn)

    def _load_balancing(self) -> Any:
        from moto.elbv2.models import elbv2_backends

        return elbv2_backends[self.account_id][self.region_name]


class CertificateInUseError(ServiceException):
    """A listener has the certificate. Of a plain ServiceException, moto could not tell the service."""

    code = "ResourceInUseException"


def find_certificate(account_id: str, region: str, arn: str) -> Certificate:
    """Return a certificate of ACM, or a server certificate of IAM."""
    if SERVER_CERTIFICATE in arn:
        server = iam_backends[account_id]["aws"].get_certificate_by_arn(arn)
        if server:
            parts = (server.private_key, server.cert_body, server.cert_chain or "")
            return read_certificate([], *(part.encode() for part in parts))
    try:
        bundle = acm_backends[account_id][region].get_certificate(arn)
    except CertificateNotFound as error:
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found") from error
    if bundle.status != "ISSUED":
        raise ELBClientError(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a supported "
            "key size.",
        )
    return read_certificate([bundle.common_name, *bundle.sans], bundle.key, bundle.cert, bundle.chain)
