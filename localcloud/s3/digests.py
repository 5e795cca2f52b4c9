"""Whether a body is the one that its checksums were computed of, in each of S3's algorithms."""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from localcloud.s3.exceptions import BadDigestError, ContentHashMismatchError, InvalidDigestError, InvalidRequestError

DEFAULT: Final = "CRC64NVME"
"""The algorithm of an object whose client chose none."""
_TRAILER: Final = re.compile(rb"^x-amz-checksum-(\w+):([\w+/=]+)\r?$", re.MULTILINE)
_TRAILER_BYTES: Final = 1024


def verify(headers: Mapping[str, str], body: bytes, raw_body: bytes) -> None:
    """Compare a body with every checksum of its request.

    Args:
        headers: The request's.
        body: What was to be sent.
        raw_body: The same as it was sent: in chunks, where checksums may follow.

    Raises:
        BadDigestError: it has another checksum.
        ContentHashMismatchError: it has another hash than was signed.
        InvalidDigestError: Content-MD5 is no MD5.
        InvalidRequestError: a checksum is none of its algorithm.
    """
    md5 = headers.get("Content-MD5")
    if md5:
        expected = _decoded(md5)
        if len(expected) != hashlib.md5(usedforsecurity=False).digest_size:
            raise InvalidDigestError
        if expected != hashlib.md5(body, usedforsecurity=False).digest():
            raise BadDigestError("Content-MD5")
    signed = headers.get("x-amz-content-sha256", "")
    if re.fullmatch(r"[0-9a-f]{64}", signed) and hashlib.sha256(body).hexdigest() != signed:
        raise ContentHashMismatchError
    for algorithm, text in checksums(headers, raw_body).items():
        actual, expected = ALGORITHMS[algorithm](body), _decoded(text)
        if len(expected) != len(actual):
            raise InvalidRequestError(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
        if expected != actual:
            raise BadDigestError(algorithm)


def checksums(headers: Mapping[str, str], raw_body: bytes) -> dict[str, str]:
    """Return a request's checksums by algorithm: those of its headers, and those that follow its chunks."""
    found = {name: headers.get(f"x-amz-checksum-{name.lower()}", "") for name in ALGORITHMS}
    if headers.get("x-amz-content-sha256", "").endswith("TRAILER"):
        for name, value in _TRAILER.findall(raw_body[-_TRAILER_BYTES:]):
            found[name.decode().upper()] = value.decode()
    return {name: value for name, value in found.items() if value and name in ALGORITHMS}


def checksum(algorithm: str, body: bytes) -> str:
    """Return a body's checksum as headers have it."""
    return base64.b64encode(ALGORITHMS[algorithm](body)).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


@cache
def _table(polynomial: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (polynomial if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


def _crc(polynomial: int, size: int) -> Callable[[bytes], bytes]:
    """Return a cyclic redundancy check of that many bytes, by its reversed polynomial."""

    def check(body: bytes) -> bytes:
        table, ones = _table(polynomial), (1 << 8 * size) - 1
        remainder = ones
        for byte in body:
            remainder = remainder >> 8 ^ table[(remainder ^ byte) & 0xFF]
        return (remainder ^ ones).to_bytes(size, "big")

    return check


ALGORITHMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "CRC32C": _crc(0x82F63B78, 4),
    "CRC64NVME": _crc(0x9A6C9329AC4BC9B5, 8),
    "SHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}
