"""Facts of HTTPS listeners."""

import datetime as dt
import socket
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fidelity.balancing import Balancing, fixed, redirect
from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, elb, elb_guide
from tests.localcloud.load_balancer_fakes import LIMIT, Backend, free_port, wait_until
from tests.localcloud.server_support import Server

SERVICE = "Load balancing"
CERTIFICATES = elb_guide("https-listener-certificates")
POLICIES = elb_guide("describe-ssl-policies")
UNKNOWN = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"


def acm(name: str) -> str:
    """Refer to an action or type of Certificate Manager's API reference."""
    return f"[ACM, {name}]({DOCS}/acm/latest/APIReference/API_{name}.html)"


@pytest.fixture(scope="module")
def site(cloud: Server) -> Balancing:
    return Balancing(cloud)


@pytest.fixture(scope="module")
def balancer(site: Balancing) -> str:
    return site.balancer("tls")


def pems(host: str) -> dict[str, bytes]:
    """Return a certificate for a host, signed by itself, and its key, as ImportCertificate takes them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"Certificate": certificate.public_bytes(serialization.Encoding.PEM), "PrivateKey": private}


def imported(site: Balancing, host: str, **settings: str) -> tuple[str, bytes]:
    """Import a certificate for a host and return its ARN and itself."""
    both = pems(host)
    arn = site.server.client("acm").import_certificate(**both, **settings)["CertificateArn"]
    return arn, both["Certificate"]


def secure(site: Balancing, balancer: str, certificate: str, **settings: Any) -> str:
    """Create an HTTPS listener."""
    return site.listener(balancer, Protocol="HTTPS", Certificates=[{"CertificateArn": certificate}], **settings)


def connect(
    site: Balancing, listener: str, host: str | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLSocket:
    """Connect to a listener, whatever certificate it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, newest
    return context.wrap_socket(socket.create_connection(site.address(listener), LIMIT), server_hostname=host)


def served(site: Balancing, listener: str, host: str | None = None) -> bytes:
    """Return the certificate that a client gets."""
    with connect(site, listener, host) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return ssl.DER_cert_to_PEM_cert(certificate).encode()


def ask(site: Balancing, listener: str, host: str = "shop.example") -> str:
    """Send a request over TLS and return the whole answer."""
    with connect(site, listener, host) as connection:
        connection.sendall(f"GET /a?b=c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


@pytest.mark.fact("An HTTPS listener serves its certificate", CERTIFICATES)
@pytest.mark.fact("An HTTPS listener's default policy is ELBSecurityPolicy-2016-08", POLICIES)
def test_https_listeners_serve_their_certificate(site: Balancing, balancer: str) -> None:
    arn, certificate = imported(site, "shop.example")
    listener = secure(site, balancer, arn, DefaultActions=[fixed("200", "secret")])
    (described,) = site.elb.describe_listeners(ListenerArns=[listener])["Listeners"]

    assert served(site, listener, "shop.example") == served(site, listener) == certificate
    assert ask(site, listener).endswith("secret")
    assert described["SslPolicy"] == "ELBSecurityPolicy-2016-08"
    assert described["Certificates"] == [{"CertificateArn": arn}]


@pytest.mark.fact("An HTTPS listener needs a certificate", elb("CreateListener"))
def test_https_listeners_need_a_certificate(site: Balancing, balancer: str) -> None:
    with refused("ValidationError", text="A certificate must be specified for HTTPS listeners"):
        site.listener(balancer, Protocol="HTTPS")


@pytest.mark.fact("An HTTP listener has no certificate", elb("CreateListener"))
def test_http_listeners_have_no_certificate(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "plain.example")

    with refused("ValidationError", text="A certificate cannot be specified for HTTP listeners"):
        site.listener(balancer, Certificates=[{"CertificateArn": arn}])


@pytest.mark.fact("An unknown certificate is refused", elb("CreateListener"))
def test_unknown_certificates_are_refused(site: Balancing, balancer: str) -> None:
    with refused("CertificateNotFound"):
        secure(site, balancer, UNKNOWN)


@pytest.mark.fact("A certificate that is not issued yet is refused", elb_guide("create-https-listener"))
def test_pending_certificates_are_refused(site: Balancing, balancer: str) -> None:
    arn = site.server.client("acm").request_certificate(DomainName="pending.example")["CertificateArn"]

    with refused("UnsupportedCertificate"):
        secure(site, balancer, arn)


@pytest.mark.fact("An unknown security policy is refused", elb("CreateListener"))
def test_unknown_policies_are_refused(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "policy.example")

    with refused("SSLPolicyNotFound"):
        secure(site, balancer, arn, SslPolicy="ELBSecurityPolicy-None")


@pytest.mark.fact("A security policy of TLS 1.3 refuses clients of TLS 1.2", POLICIES)
@pytest.mark.fact("A changed security policy applies to new connections", elb("ModifyListener"))
def test_policies_choose_the_version(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "versions.example")
    listener = secure(site, balancer, arn, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06")
    with pytest.raises(ssl.SSLError):
        connect(site, listener, newest=ssl.TLSVersion.TLSv1_2)
    site.elb.modify_listener(ListenerArn=listener, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    with connect(site, listener, newest=ssl.TLSVersion.TLSv1_2) as connection:
        version = connection.version()

    assert version == "TLSv1.2"


@pytest.mark.fact("A client gets the certificate of the host that it names, else the default one", CERTIFICATES)
@pytest.mark.fact("A certificate that is added twice is there once", elb("AddListenerCertificates"))
@pytest.mark.fact("DescribeListeners shows the default certificate alone", elb("Listener"))
def test_certificates_are_chosen_by_host(site: Balancing, balancer: str) -> None:
    (default, first), (second, named), (third, wild) = (
        imported(site, host) for host in ("a.example", "b.example", "*.c.example")
    )
    listener = secure(site, balancer, default)
    for _ in range(2):
        site.elb.add_listener_certificates(
            ListenerArn=listener, Certificates=[{"CertificateArn": second}, {"CertificateArn": third}]
        )
    listed = site.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    (described,) = site.elb.describe_listeners(ListenerArns=[listener])["Listeners"]

    hosts = ("a.example", "b.example", "x.c.example", "d.example", None)
    assert [served(site, listener, host) for host in hosts] == [first, named, wild, first, first]
    assert [(one["CertificateArn"], one["IsDefault"]) for one in listed] == [
        (default, True), (second, False), (third, False),
    ]  # fmt: skip
    assert described["Certificates"] == [{"CertificateArn": default}]


@pytest.mark.fact("The default certificate is replaced, not removed", elb("RemoveListenerCertificates"))
@pytest.mark.fact("A replaced default certificate is served to new connections", CERTIFICATES)
def test_default_certificates_are_replaced(site: Balancing, balancer: str) -> None:
    (before, _), (after, certificate) = imported(site, "r.example"), imported(site, "r.example")
    listener = secure(site, balancer, before)
    with refused("OperationNotPermitted"):
        site.elb.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": before}])
    site.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": after}])

    assert served(site, listener) == certificate


@pytest.mark.fact(
    "A certificate that is imported anew is served to new connections",
    acm("ImportCertificate"),
)
@pytest.mark.fact("A connection outlives the certificate that it began with", CERTIFICATES)
def test_certificates_are_renewed(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "renewed.example")
    listener = secure(site, balancer, arn, DefaultActions=[fixed("200", "ok")])
    with connect(site, listener) as connection:
        _, certificate = imported(site, "renewed.example", CertificateArn=arn)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200")
    assert served(site, listener) == certificate


@pytest.mark.fact("A certificate that a listener has is not deleted", acm("DeleteCertificate"))
@pytest.mark.fact("A certificate names the load balancers that use it", acm("CertificateDetail"))
def test_certificates_in_use_stay(site: Balancing, balancer: str) -> None:
    manager = site.server.client("acm")
    arn, _ = imported(site, "used.example")
    listener = secure(site, balancer, arn)

    assert manager.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"] == [balancer]
    with refused("ResourceInUseException"):
        manager.delete_certificate(CertificateArn=arn)
    site.elb.delete_listener(ListenerArn=listener)
    manager.delete_certificate(CertificateArn=arn)


@pytest.mark.fact("A key that is not the certificate's is refused", acm("ImportCertificate"))
def test_keys_belong_to_their_certificates(site: Balancing) -> None:
    with refused("ValidationException"):
        site.server.client("acm").import_certificate(
            Certificate=pems("one.example")["Certificate"], PrivateKey=pems("two.example")["PrivateKey"]
        )


@pytest.mark.fact("Targets of an HTTPS listener get https as the protocol", elb_guide("x-forwarded-headers"))
def test_targets_learn_of_https(site: Balancing, balancer: str) -> None:
    backend = Backend("127.0.0.33", free_port())
    try:
        group = site.group("https", TargetType="ip", Port=backend.port, HealthCheckPath="/healthz")
        target = {"Id": backend.address, "AvailabilityZone": "all"}
        site.elb.register_targets(TargetGroupArn=group, Targets=[target])
        listener = site.listener(
            balancer, group, Protocol="HTTPS", Certificates=[{"CertificateArn": imported(site, "h.example")[0]}]
        )
        wait_until(lambda: site.health(group)[0][2] == "healthy")
        ask(site, listener)
    finally:
        backend.stop()

    assert backend.seen[0][2]["X-Forwarded-Proto"] == "https"


@pytest.mark.fact("HTTP requests can be redirected to HTTPS", elb("RedirectActionConfig"))
@pytest.mark.fact("HTTPS requests are not redirected to HTTP", elb("RedirectActionConfig"))
def test_http_is_redirected_to_https(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "redirected.example")
    port = str(free_port())
    listener = secure(site, balancer, arn, DefaultActions=[redirect(Port=port)])

    assert f"Location: https://shop.example:{port}/a?b=c" in ask(site, listener)
    with refused("InvalidLoadBalancerAction"):
        site.elb.modify_listener(ListenerArn=listener, DefaultActions=[redirect(Protocol="HTTP")])


@pytest.mark.fact("A listener that changes from HTTPS to HTTP has no certificate and policy", elb("ModifyListener"))
def test_a_listener_changes_its_protocol(site: Balancing, balancer: str) -> None:
    arn, _ = imported(site, "changed.example")
    listener = secure(site, balancer, arn)
    (changed,) = site.elb.modify_listener(ListenerArn=listener, Protocol="HTTP")["Listeners"]
    with socket.create_connection(site.address(listener), LIMIT) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = connection.recv(4096)
    with refused("ValidationError", text="A certificate must be specified for HTTPS listeners"):
        site.elb.modify_listener(ListenerArn=listener, Protocol="HTTPS")

    assert ("Certificates" in changed, "SslPolicy" in changed) == (False, False)
    assert answer.startswith(b"HTTP/1.1 404")
