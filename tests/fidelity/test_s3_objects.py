"""Facts of S3: objects."""

import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, s3, s3_guide
from tests.localcloud.server_support import REGION, Server

SERVICE = "S3"
BUCKET = "objects-of-the-facts"
ERRORS = f"[API, error responses]({DOCS}/AmazonS3/latest/API/ErrorResponses.html)"
WRITES = s3_guide("conditional-writes")
DELETES = s3_guide("conditional-deletes")
INTEGRITY = s3_guide("checking-object-integrity-upload")
PRESIGNED = s3_guide("using-presigned-url")
COMPLETES = s3("CompleteMultipartUpload")
SIGNED = f"[API, query parameters]({DOCS}/AmazonS3/latest/API/sigv4-query-string-auth.html)"
SIGNED_2 = f"[developer guide, REST authentication]({DOCS}/AmazonS3/latest/API/RESTAuthentication.html)"
OTHER_ETAG = '"00000000000000000000000000000000"'
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def bucket(cloud: Server) -> Any:
    """A client of S3, with a bucket."""
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture(scope="module")
def versioned(cloud: Server) -> str:
    """The name of a bucket with versioning."""
    client, name = cloud.client("s3"), "versions-of-the-facts"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def put(client: Any, key: str, body: bytes = b"one", **arguments: Any) -> Any:
    return client.put_object(Bucket=BUCKET, Key=key, Body=body, **arguments)


def content(client: Any, key: str) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def status(url: str, method: str = "GET", sent: bytes | None = None) -> tuple[int, bytes]:
    """Send a request that nothing signs but the address itself."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, sent, method=method), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


# Conditions


@pytest.mark.fact("PutObject with If-None-Match: * does not overwrite an object: 412 PreconditionFailed", WRITES)
def test_a_put_that_needs_a_free_key(bucket: Any) -> None:
    put(bucket, "free", IfNoneMatch="*")

    with refused("PreconditionFailed", 412):
        put(bucket, "free", b"two", IfNoneMatch="*")

    assert content(bucket, "free") == b"one"


@pytest.mark.fact("PutObject with If-Match replaces the object that has that ETag, and no other: 412", WRITES)
def test_a_put_that_needs_an_etag(bucket: Any) -> None:
    etag = put(bucket, "matched")["ETag"]

    with refused("PreconditionFailed", 412):
        put(bucket, "matched", b"two", IfMatch=OTHER_ETAG)
    put(bucket, "matched", b"three", IfMatch=etag)

    assert content(bucket, "matched") == b"three"


@pytest.mark.fact("PutObject with If-Match of a key without an object is refused: 404 NoSuchKey", WRITES)
def test_a_put_that_needs_an_object(bucket: Any) -> None:
    with refused("NoSuchKey", 404):
        put(bucket, "never-written", IfMatch=OTHER_ETAG)


@pytest.mark.fact("A delete marker leaves the key free for If-None-Match: *", WRITES)
def test_a_put_after_a_delete_marker(bucket: Any, versioned: str) -> None:
    bucket.put_object(Bucket=versioned, Key="again", Body=b"one")
    bucket.delete_object(Bucket=versioned, Key="again")

    bucket.put_object(Bucket=versioned, Key="again", Body=b"two", IfNoneMatch="*")

    assert bucket.get_object(Bucket=versioned, Key="again")["Body"].read() == b"two"


@pytest.mark.fact("CompleteMultipartUpload with If-None-Match: * does not overwrite an object: 412", WRITES)
def test_a_multipart_upload_that_needs_a_free_key(bucket: Any) -> None:
    upload = upload_parts(bucket, "uploaded-twice", b"one")
    put(bucket, "uploaded-twice")

    with refused("PreconditionFailed", 412):
        bucket.complete_multipart_upload(**upload, IfNoneMatch="*")


@pytest.mark.fact("CompleteMultipartUpload with If-Match replaces the object that has that ETag, and no other", WRITES)
def test_a_multipart_upload_that_needs_an_etag(bucket: Any) -> None:
    etag = put(bucket, "uploaded-over")["ETag"]

    with refused("PreconditionFailed", 412):
        bucket.complete_multipart_upload(**upload_parts(bucket, "uploaded-over", b"two"), IfMatch=OTHER_ETAG)
    bucket.complete_multipart_upload(**upload_parts(bucket, "uploaded-over", b"two"), IfMatch=etag)

    assert content(bucket, "uploaded-over") == b"two"


@pytest.mark.fact("CopyObject with If-None-Match: * does not overwrite an object: 412", s3("CopyObject"))
def test_a_copy_that_needs_a_free_key(bucket: Any) -> None:
    put(bucket, "copied")
    put(bucket, "copied-to")

    with refused("PreconditionFailed", 412):
        bucket.copy_object(Bucket=BUCKET, Key="copied-to", CopySource=f"{BUCKET}/copied", IfNoneMatch="*")


@pytest.mark.fact("CopyObject with a source condition that fails is refused: 412", s3("CopyObject"))
def test_a_copy_of_a_changed_source(bucket: Any) -> None:
    put(bucket, "source")

    with refused("PreconditionFailed", 412):
        bucket.copy_object(Bucket=BUCKET, Key="target", CopySource=f"{BUCKET}/source", CopySourceIfMatch=OTHER_ETAG)


@pytest.mark.fact("DeleteObject with If-Match deletes the object that has that ETag, and no other: 412", DELETES)
def test_a_delete_that_needs_an_etag(bucket: Any) -> None:
    etag = put(bucket, "deleted")["ETag"]

    with refused("PreconditionFailed", 412):
        bucket.delete_object(Bucket=BUCKET, Key="deleted", IfMatch=OTHER_ETAG)
    bucket.delete_object(Bucket=BUCKET, Key="deleted", IfMatch=etag)

    with refused("NoSuchKey", 404):
        bucket.get_object(Bucket=BUCKET, Key="deleted")


@pytest.mark.fact("DeleteObject with If-Match: * deletes whatever object there is", DELETES)
def test_a_delete_that_needs_an_object(bucket: Any) -> None:
    put(bucket, "deleted-if-there")

    bucket.delete_object(Bucket=BUCKET, Key="deleted-if-there", IfMatch="*")

    with refused("NoSuchKey", 404):
        bucket.get_object(Bucket=BUCKET, Key="deleted-if-there")


@pytest.mark.fact("DeleteObjects with an ETag reports PreconditionFailed for an object that has another", DELETES)
def test_deletes_that_need_an_etag(bucket: Any) -> None:
    put(bucket, "kept")
    gone = put(bucket, "gone")["ETag"]

    answer = bucket.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "kept", "ETag": OTHER_ETAG}, {"Key": "gone", "ETag": gone}]}
    )

    assert [each["Key"] for each in answer["Deleted"]] == ["gone"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("kept", "PreconditionFailed")]
    assert content(bucket, "kept") == b"one"


@pytest.mark.fact("GetObject with If-Match of another ETag is refused: 412", s3("GetObject"))
@pytest.mark.fact("GetObject and HeadObject with If-None-Match of the object's ETag answer 304", s3("GetObject"))
def test_conditional_reads(bucket: Any) -> None:
    etag = put(bucket, "read")["ETag"]

    with refused("PreconditionFailed", 412):
        bucket.get_object(Bucket=BUCKET, Key="read", IfMatch=OTHER_ETAG)
    for read in (bucket.get_object, bucket.head_object):
        with refused("304", 304):
            read(Bucket=BUCKET, Key="read", IfNoneMatch=etag)


# Checksums


@pytest.mark.fact("An ETag is in quotes: the MD5 of the content of a plain put", s3_guide("checking-object-integrity"))
def test_an_etag(bucket: Any) -> None:
    assert put(bucket, "tagged")["ETag"] == '"f97c5d29941bfb1b2fdab0874906ab82"'


@pytest.mark.parametrize(
    ("algorithm", "checksum"),
    [
        pytest.param(name, wrong, id=name, marks=pytest.mark.fact(f"A put whose {name} is wrong: BadDigest", INTEGRITY))
        for name, wrong in [
            ("CRC32", "AAAAAA=="),
            ("CRC32C", "AAAAAA=="),
            ("CRC64NVME", "AAAAAAAAAAA="),
            ("SHA1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("SHA256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ]
    ],
)
def test_a_wrong_checksum(bucket: Any, algorithm: str, checksum: str) -> None:
    with refused("BadDigest", 400, algorithm):
        put(bucket, f"wrong-{algorithm}", **{f"Checksum{algorithm}": checksum})


@pytest.mark.fact("A put whose checksum is right is accepted, and HeadObject returns it", INTEGRITY)
def test_a_right_checksum(bucket: Any) -> None:
    right = {
        "CRC32": "emyG8Q==",
        "CRC32C": "KpSy6Q==",
        "CRC64NVME": "sUmeCqrLO7M=",
        "SHA1": "/gW83NxJKAEngaXxoqd8u1OY4QY=",
        "SHA256": "dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=",
    }
    for algorithm, checksum in right.items():
        put(bucket, f"right-{algorithm}", **{f"Checksum{algorithm}": checksum})
        head = bucket.head_object(Bucket=BUCKET, Key=f"right-{algorithm}", ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"] == checksum


@pytest.mark.fact("A put without a checksum is stored with a CRC64NVME, which S3 computes", INTEGRITY)
def test_no_checksum(bucket: Any) -> None:
    address = bucket.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "no-checksum"})

    request = urllib.request.Request(address, b"one", {"Content-Type": "text/plain"}, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["x-amz-checksum-crc64nvme"] == "sUmeCqrLO7M="

    head = bucket.head_object(Bucket=BUCKET, Key="no-checksum", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == "sUmeCqrLO7M="


@pytest.mark.fact("A part whose checksum is wrong is refused: BadDigest", INTEGRITY)
def test_a_wrong_checksum_of_a_part(bucket: Any) -> None:
    upload = bucket.create_multipart_upload(Bucket=BUCKET, Key="parts", ChecksumAlgorithm="CRC32")["UploadId"]

    with refused("BadDigest", 400, "CRC32"):
        bucket.upload_part(
            Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"one", ChecksumCRC32="AAAAAA=="
        )


@pytest.mark.fact("A put whose Content-MD5 is wrong is refused: BadDigest", ERRORS)
@pytest.mark.fact("A put whose Content-MD5 is no MD5 is refused: InvalidDigest", ERRORS)
def test_a_wrong_content_md5(bucket: Any) -> None:
    with refused("BadDigest", 400):
        put(bucket, "md5", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    with refused("InvalidDigest", 400):
        put(bucket, "md5", ContentMD5="nonsense")


# Missing things


@pytest.mark.fact("GetObject of a missing key: 404 NoSuchKey; of a missing bucket: 404 NoSuchBucket", ERRORS)
def test_what_is_missing(bucket: Any) -> None:
    with refused("NoSuchKey", 404):
        bucket.get_object(Bucket=BUCKET, Key="missing")
    with refused("NoSuchBucket", 404):
        bucket.get_object(Bucket="missing-bucket-of-the-facts", Key="missing")
    with refused("NoSuchBucket", 404):
        bucket.put_object(Bucket="missing-bucket-of-the-facts", Key="missing", Body=b"")


@pytest.mark.fact("HeadObject and HeadBucket answer a missing thing with 404 and without a body", s3("HeadObject"))
def test_heads_of_what_is_missing(bucket: Any) -> None:
    with refused("404", 404):
        bucket.head_object(Bucket=BUCKET, Key="missing")
    with refused("404", 404):
        bucket.head_bucket(Bucket="missing-bucket-of-the-facts")
    url = bucket.generate_presigned_url("head_object", Params={"Bucket": BUCKET, "Key": "missing"})
    assert status(url, "HEAD") == (404, b"")


@pytest.mark.fact("DeleteObject of a missing key succeeds", s3("DeleteObject"))
def test_a_delete_of_what_is_missing(bucket: Any) -> None:
    answer = bucket.delete_object(Bucket=BUCKET, Key="missing")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.fact("GetObject of a range past the end is refused: 416 InvalidRange", ERRORS)
def test_a_range_past_the_end(bucket: Any) -> None:
    put(bucket, "short")

    with refused("InvalidRange", 416):
        bucket.get_object(Bucket=BUCKET, Key="short", Range="bytes=10-20")


# Limits


@pytest.mark.fact("A key has 1,024 bytes at most: KeyTooLongError", s3_guide("object-keys"))
def test_a_long_key(bucket: Any) -> None:
    put(bucket, "é" * 512)

    with refused("KeyTooLongError", 400):
        put(bucket, "é" * 512 + "x")


@pytest.mark.fact("User metadata has 2 KB at most: MetadataTooLarge", s3_guide("UsingMetadata"))
def test_large_metadata(bucket: Any) -> None:
    put(bucket, "metadata", Metadata={"a": "x" * 2000})

    with refused("MetadataTooLarge", 400):
        put(bucket, "metadata", Metadata={"a": "x" * 2100})


@pytest.mark.fact("An object has ten tags at most: BadRequest", s3_guide("object-tagging"))
@pytest.mark.fact("An object's tag key has 128 characters at most, its value 256: InvalidTag", s3("PutObjectTagging"))
def test_tags_of_an_object(bucket: Any) -> None:
    put(bucket, "tags")

    def tag(*tags: tuple[str, str]) -> None:
        tag_set = [{"Key": key, "Value": value} for key, value in tags]
        bucket.put_object_tagging(Bucket=BUCKET, Key="tags", Tagging={"TagSet": tag_set})

    tag(*((f"k{number}", "v") for number in range(10)))
    with refused("BadRequest", 400, "Object tags cannot be greater than 10"):
        tag(*((f"k{number}", "v") for number in range(11)))
    with refused("InvalidTag"):
        tag(("k" * 129, "v"))
    with refused("InvalidTag"):
        tag(("k", "v" * 257))
    with refused("InvalidTag"):
        tag(("k", "1"), ("k", "2"))


@pytest.mark.fact("DeleteObjects takes 1,000 keys at most: MalformedXML", s3("DeleteObjects"))
@pytest.mark.fact("DeleteObjects reports missing keys as deleted", s3("DeleteObjects"))
def test_deleting_many(bucket: Any) -> None:
    keys = [{"Key": f"many/{number}"} for number in range(1001)]

    assert len(bucket.delete_objects(Bucket=BUCKET, Delete={"Objects": keys[:1000]})["Deleted"]) == 1000
    with refused("MalformedXML", 400):
        bucket.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})


# Multipart uploads


def upload_parts(client: Any, key: str, *parts: bytes) -> dict[str, Any]:
    """Upload the parts, and return what completes the upload."""
    upload = {"Bucket": BUCKET, "Key": key}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    uploaded = [
        {"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
        for number, part in enumerate(parts, 1)
    ]
    return {**upload, "MultipartUpload": {"Parts": uploaded}}


@pytest.mark.fact("Each part but the last has at least 5 MB: EntityTooSmall", s3_guide("qfacts"))
def test_small_parts(bucket: Any) -> None:
    with refused("EntityTooSmall", 400):
        bucket.complete_multipart_upload(**upload_parts(bucket, "small-parts", b"one", b"two"))


@pytest.mark.fact("The ETag of a multipart upload ends with the number of its parts", s3("Object"))
def test_a_multipart_upload(bucket: Any) -> None:
    large = b"x" * (5 * MEBIBYTE)

    answer = bucket.complete_multipart_upload(**upload_parts(bucket, "in-parts", large, b"end"))

    assert answer["ETag"].endswith('-2"')
    assert content(bucket, "in-parts") == large + b"end"


@pytest.mark.fact("Parts out of order are refused: InvalidPartOrder", s3("CompleteMultipartUpload"))
@pytest.mark.fact("A part that was not uploaded is refused: InvalidPart", s3("CompleteMultipartUpload"))
@pytest.mark.fact("An upload that was aborted is unknown: 404 NoSuchUpload", s3("CompleteMultipartUpload"))
def test_wrong_parts(bucket: Any) -> None:
    large = b"x" * (5 * MEBIBYTE)
    upload = upload_parts(bucket, "wrong-parts", large, b"end")
    parts = upload.pop("MultipartUpload")["Parts"]

    with refused("InvalidPartOrder", 400):
        bucket.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[::-1]})
    with refused("InvalidPart", 400):
        bucket.complete_multipart_upload(
            **upload, MultipartUpload={"Parts": [*parts, {"PartNumber": 3, "ETag": OTHER_ETAG}]}
        )
    bucket.abort_multipart_upload(**upload)
    with refused("NoSuchUpload", 404):
        bucket.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(text, id=lacks, marks=pytest.mark.fact(f"A part to complete {lacks}: MalformedXML", COMPLETES))
        for lacks, text in {
            "without an ETag": "<Part><PartNumber>1</PartNumber></Part>",
            "without a number": "<Part><ETag>e</ETag></Part>",
            "whose number is none": "<Part><PartNumber>one</PartNumber><ETag>e</ETag></Part>",
            "that is empty": "<Part/>",
            "that is not there": "",
        }.items()
    ],
)
def test_malformed_parts(bucket: Any, part: str) -> None:
    upload = bucket.create_multipart_upload(Bucket=BUCKET, Key="malformed-parts")["UploadId"]
    named = {"Bucket": BUCKET, "Key": "malformed-parts", "UploadId": upload}
    address = bucket.generate_presigned_url("complete_multipart_upload", Params=named)

    code, body = status(address, "POST", f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode())

    assert (code, b"<Code>MalformedXML</Code>" in body) == (400, True), body


# Versions


@pytest.mark.fact("DeleteObject in a versioned bucket leaves a delete marker; GetObject then answers NoSuchKey",
                  s3_guide("DeleteMarker"))  # fmt: skip
@pytest.mark.fact("GetObject of a delete marker's version is refused: 405 MethodNotAllowed", s3_guide("DeleteMarker"))
@pytest.mark.fact("Deleting the delete marker's version brings the object back", s3_guide("RemDelMarker"))
def test_a_delete_marker(bucket: Any, versioned: str) -> None:
    named = {"Bucket": versioned, "Key": "marked"}
    bucket.put_object(**named, Body=b"one")
    marker = bucket.delete_object(**named)

    assert marker["DeleteMarker"] is True
    with refused("NoSuchKey", 404):
        bucket.get_object(**named)
    with refused("MethodNotAllowed", 405):
        bucket.get_object(**named, VersionId=marker["VersionId"])
    bucket.delete_object(**named, VersionId=marker["VersionId"])
    assert bucket.get_object(**named)["Body"].read() == b"one"


@pytest.mark.fact("Old versions stay readable by their id; an unknown one is 404 NoSuchVersion", s3("GetObject"))
def test_old_versions(bucket: Any, versioned: str) -> None:
    named = {"Bucket": versioned, "Key": "rewritten"}
    first = bucket.put_object(**named, Body=b"one")["VersionId"]
    second = bucket.put_object(**named, Body=b"two")["VersionId"]

    assert bucket.get_object(**named, VersionId=first)["Body"].read() == b"one"
    assert bucket.get_object(**named)["VersionId"] == second
    bucket.delete_object(**named, VersionId=first)
    with refused("NoSuchVersion", 404):
        bucket.get_object(**named, VersionId=first)


# Lists


@pytest.mark.fact("ListObjectsV2 returns 1,000 keys a page at most, whatever MaxKeys is", s3("ListObjectsV2"))
@pytest.mark.fact("ListObjectsV2 goes on from a continuation token, without loss or repetition", s3("ListObjectsV2"))
def test_pages(bucket: Any) -> None:
    for number in range(5):
        put(bucket, f"pages/{number}", b"")
    assert bucket.list_objects_v2(Bucket=BUCKET, Prefix="pages/", MaxKeys=5000)["MaxKeys"] == 1000

    pages = bucket.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="pages/", PaginationConfig={"PageSize": 2}
    )
    found = [([each["Key"][-1] for each in page["Contents"]], page["KeyCount"], page["IsTruncated"]) for page in pages]

    assert found == [(["0", "1"], 2, True), (["2", "3"], 2, True), (["4"], 1, False)]


@pytest.mark.fact("ListObjectsV2 lists keys in the order of their UTF-8 bytes", s3("ListObjectsV2"))
@pytest.mark.fact("ListObjectsV2's StartAfter leaves out the keys up to that one", s3("ListObjectsV2"))
def test_the_order_of_keys(bucket: Any) -> None:
    for name in ("b", "a", "B", "é", "z"):
        put(bucket, f"order/{name}")

    def listed(**arguments: str) -> list[str]:
        found = bucket.list_objects_v2(Bucket=BUCKET, Prefix="order/", **arguments)["Contents"]
        return [each["Key"].removeprefix("order/") for each in found]

    assert listed() == ["B", "a", "b", "z", "é"]
    assert listed(StartAfter="order/a") == ["b", "z", "é"]


@pytest.mark.fact("ListObjectsV2 rolls keys up to a delimiter into common prefixes, each counted once",
                  s3("ListObjectsV2"))  # fmt: skip
def test_common_prefixes(bucket: Any) -> None:
    for name in ("a/1", "a/2", "b/1", "c"):
        put(bucket, f"tree/{name}")

    first = bucket.list_objects_v2(Bucket=BUCKET, Prefix="tree/", Delimiter="/", MaxKeys=2)
    rest = bucket.list_objects_v2(
        Bucket=BUCKET, Prefix="tree/", Delimiter="/", ContinuationToken=first["NextContinuationToken"]
    )

    assert [each["Prefix"] for each in first["CommonPrefixes"]] == ["tree/a/", "tree/b/"]
    assert (first["KeyCount"], "Contents" in first) == (2, False)
    assert [each["Key"] for each in rest["Contents"]] == ["tree/c"]
    assert "CommonPrefixes" not in rest


@pytest.mark.fact("ListObjectsV2 refuses a continuation token that it did not return: InvalidArgument", ERRORS)
def test_an_unknown_continuation_token(bucket: Any) -> None:
    with refused("InvalidArgument", 400, "continuation token"):
        bucket.list_objects_v2(Bucket=BUCKET, ContinuationToken="unknown")


# Presigned addresses


@pytest.mark.fact("A presigned address reads and writes without credentials", PRESIGNED)
def test_a_presigned_address(bucket: Any) -> None:
    put(bucket, "presigned")

    address = bucket.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "presigned"})

    assert status(address) == (200, b"one")


@pytest.mark.fact("A presigned address that has expired is refused: 403 AccessDenied, Request has expired", PRESIGNED)
def test_an_expired_address(cloud: Server, bucket: Any) -> None:
    put(bucket, "expired")
    address = bucket.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "expired"}, ExpiresIn=1)
    assert "X-Amz-Expires=1" in address or "Expires=" in address
    time.sleep(2.1)

    code, body = status(address)

    assert code == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in body


PRESIGNED_4 = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"AKIATEST/20300101/{REGION}/s3/aws4_request",
    "X-Amz-Date": "20300101T000000Z",
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "0" * 64,
}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param(wrong, text, id=title, marks=pytest.mark.fact(f"A presigned address {title} is refused", SIGNED))
        for title, wrong, text in [
            ("whose X-Amz-Expires is no number", {"X-Amz-Expires": "abc"}, "X-Amz-Expires should be a number"),
            ("whose X-Amz-Expires is negative", {"X-Amz-Expires": "-1"}, "X-Amz-Expires must be non-negative"),
            ("for more than a week", {"X-Amz-Expires": "604801"}, "X-Amz-Expires must be less than a week"),
            ("without X-Amz-Date", {"X-Amz-Date": None}, "Query-string authentication version 4 requires the "),
            ("whose X-Amz-Date is none", {"X-Amz-Date": "today"}, "X-Amz-Date must be in the ISO8601 Long Format"),
        ]
    ],
)
def test_a_malformed_address(cloud: Server, bucket: Any, parameters: dict[str, str | None], message: str) -> None:
    put(bucket, "malformed-address")
    query = {name: value for name, value in {**PRESIGNED_4, **parameters}.items() if value}

    code, body = status(f"{cloud.url}/{BUCKET}/malformed-address?{urlencode(query)}")

    assert (code, b"<Code>AuthorizationQueryParametersError</Code>" in body) == (400, True), body
    assert f"<Message>{message}" in body.decode()


@pytest.mark.fact("An address presigned by version 2 whose Expires is no number is refused: AccessDenied", SIGNED_2)
def test_a_malformed_address_of_version_2(cloud: Server, bucket: Any) -> None:
    put(bucket, "malformed-address")

    code, body = status(f"{cloud.url}/{BUCKET}/malformed-address?AWSAccessKeyId=AKIATEST&Signature=0&Expires=abc")

    assert (code, b"<Code>AccessDenied</Code>" in body) == (403, True), body
    assert b"Invalid date (should be seconds since epoch)" in body
