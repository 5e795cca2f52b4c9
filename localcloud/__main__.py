"""Command line of the embedded cloud: `python -m localcloud --port 4566 --engine unix://… --os-image … --name …`."""

import argparse
import ipaddress
import logging
import re
import sys

from localcloud.exceptions import LocalCloudError
from localcloud.server import Settings, serve

ACCOUNT = re.compile(r"\d{12}")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 32 lower-case letters, digits and inner dashes")
    return text


def _cidr(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 network such as 10.90.1.0/24 ({error})") from error
    if network.prefixlen > 28:  # a fleet and its replacement need more than 14 addresses
        raise argparse.ArgumentTypeError(f"{text!r} is too small: at most /28")
    return text


def _root_key(text: str) -> tuple[str, str, str]:
    identity, _, rest = text.partition(":")
    secret, _, account = rest.partition(":")
    if not (identity and secret) or (account and not ACCOUNT.fullmatch(account)):
        raise argparse.ArgumentTypeError("a root key is ID:SECRET, or ID:SECRET:ACCOUNT for another account's")
    return identity, secret, account


def parse(arguments: list[str]) -> Settings:
    """Parse the command line; exits with a usage message if it is wrong."""
    parser = argparse.ArgumentParser(prog="localcloud", description=__doc__)
    parser.add_argument("--name", type=_name, required=True, help="distinguishes clouds on one engine")
    parser.add_argument("--port", type=int, required=True, help="port of the API; 0 takes a free one")
    parser.add_argument("--engine", default="", help="container engine: unix:///path/to.sock")
    parser.add_argument("--os-image", default="", help="the engine's image that instances boot from")
    parser.add_argument(
        "--metadata-only", action="store_true", help="no engine: instances are records, for tests of scale and policies"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--region", default="eu-west-1", help="the one region with instances (default: %(default)s)")
    parser.add_argument("--memory", default="512m", help="memory cap of an instance (default: %(default)s)")
    parser.add_argument(
        "--enforce-iam", action="store_true", help="check signatures, and evaluate policies as AWS does"
    )
    parser.add_argument(
        "--root-key",
        type=_root_key,
        action="append",
        default=[],
        dest="root_keys",
        metavar="ID:SECRET[:ACCOUNT]",
        help="with --enforce-iam: an access key of the account's root, to begin with; may be given several times",
    )
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--network-cidr", type=_cidr, help="subnet of the instances (default: derived from the name)")
    network.add_argument("--network", help="put the instances into this existing network of the engine")
    settings = Settings(**vars(parser.parse_args(arguments)))
    if settings.metadata_only == bool(settings.engine and settings.os_image):
        parser.error("give --engine and --os-image, or --metadata-only")
    if settings.enforce_iam != bool(settings.root_keys):
        parser.error("give --enforce-iam and at least one --root-key, or neither")
    return settings


def main() -> int:
    """Run until a signal ends it; a failed start is one line on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = parse(sys.argv[1:])
    try:
        serve(settings, lambda url: print(f"localcloud ready on {url}", flush=True))  # the interface
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)  # it is the command's message
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
