"""S3's checksums, of which Python has no implementation of its own."""

import time

import pytest

from localcloud.s3.digests import ALGORITHMS

LONG = bytes(range(251)) * 200
POLYNOMIALS = {"CRC32C": 0x82F63B78, "CRC64NVME": 0x9A6C9329AC4BC9B5}


def bit_by_bit(algorithm: str, body: bytes) -> bytes:
    """Return a checksum as it is defined."""
    size = 4 if algorithm == "CRC32C" else 8
    remainder = ones = (1 << 8 * size) - 1
    for byte in body:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (POLYNOMIALS[algorithm] if remainder & 1 else 0)
    return (remainder ^ ones).to_bytes(size, "big")


@pytest.mark.parametrize(("algorithm", "expected"), [("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")])
def test_the_check_value_of_an_algorithm(algorithm: str, expected: str) -> None:
    assert ALGORITHMS[algorithm](b"123456789").hex() == expected


@pytest.mark.parametrize("algorithm", POLYNOMIALS)
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 32769, len(LONG)])
def test_a_body_of_any_length(algorithm: str, size: int) -> None:
    assert ALGORITHMS[algorithm](LONG[:size]) == bit_by_bit(algorithm, LONG[:size])


@pytest.mark.parametrize("algorithm", POLYNOMIALS)
def test_a_large_body_is_checked_in_no_time(algorithm: str) -> None:
    """The cloud answers nobody else meanwhile."""
    body = LONG * 200
    ALGORITHMS[algorithm](LONG)  # makes the tables

    began = time.process_time()
    ALGORITHMS[algorithm](body)

    assert time.process_time() - began < len(body) / 20e6
