"""Facts of S3: buckets."""

import json
from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, s3, s3_guide
from tests.localcloud.server_support import Server

SERVICE = "S3"
ERRORS = f"[API, error responses]({DOCS}/AmazonS3/latest/API/ErrorResponses.html)"
NAMES = s3_guide("bucketnamingrules")
IRELAND = {"LocationConstraint": "eu-west-1"}


def create(cloud: Server, name: str, **arguments: Any) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration=IRELAND, **arguments)
    return client


@pytest.mark.fact("Bucket names: 3 to 63 lower-case letters, digits, periods and hyphens; InvalidBucketName", NAMES)
def test_bucket_names(cloud: Server) -> None:
    wrong = ["a" * 64, "under_score", "UpperCase", "-begins", "ends-", "two..periods", "192.168.5.4"]
    for name in (*wrong, "xn--reserved", "reserved-s3alias"):
        with refused("InvalidBucketName", 400):
            create(cloud, name)


@pytest.mark.fact("CreateBucket of a bucket that one owns: 409 BucketAlreadyOwnedByYou", s3("CreateBucket"))
@pytest.mark.fact("In us-east-1, CreateBucket of a bucket that one owns succeeds", s3("CreateBucket"))
@pytest.mark.fact("CreateBucket of another account's bucket: 409 BucketAlreadyExists", s3("CreateBucket"))
def test_buckets_that_exist(cloud: Server) -> None:
    create(cloud, "exists-in-ireland")
    virginia = cloud.client("s3", region="us-east-1")
    virginia.create_bucket(Bucket="exists-in-virginia")

    with refused("BucketAlreadyOwnedByYou", 409):
        create(cloud, "exists-in-ireland")
    virginia.create_bucket(Bucket="exists-in-virginia")
    other = cloud.client_of("210987654321", "s3")
    with refused("BucketAlreadyExists", 409):
        other.create_bucket(Bucket="exists-in-ireland", CreateBucketConfiguration=IRELAND)


@pytest.mark.fact("CreateBucket without the region of the endpoint: IllegalLocationConstraintException", ERRORS)
def test_the_region_of_a_bucket(cloud: Server) -> None:
    client = cloud.client("s3")

    with refused("IllegalLocationConstraintException", 400):
        client.create_bucket(Bucket="without-a-region")
    with refused("IllegalLocationConstraintException", 400):
        client.create_bucket(
            Bucket="in-another-region", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )


@pytest.mark.fact("DeleteBucket of a bucket with objects: 409 BucketNotEmpty", s3("DeleteBucket"))
@pytest.mark.fact("A bucket with old versions or delete markers alone is not empty", s3_guide("delete-bucket"))
def test_deleting_a_bucket(cloud: Server) -> None:
    client = create(cloud, "full-of-versions")
    named = {"Bucket": "full-of-versions"}
    client.put_bucket_versioning(**named, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(**named, Key="a", Body=b"")
    with refused("BucketNotEmpty", 409):
        client.delete_bucket(**named)
    client.delete_object(**named, Key="a")
    with refused("BucketNotEmpty", 409):
        client.delete_bucket(**named)

    versions = client.list_object_versions(**named)
    for each in [*versions["Versions"], *versions["DeleteMarkers"]]:
        client.delete_object(**named, Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(**named)

    with refused("NoSuchBucket", 404):
        client.delete_bucket(**named)


@pytest.mark.fact("A new bucket blocks public access, in all four ways", s3_guide("access-control-block-public-access"))
def test_public_access_of_a_new_bucket(cloud: Server) -> None:
    client = create(cloud, "new-and-closed")

    settings = client.get_public_access_block(Bucket="new-and-closed")["PublicAccessBlockConfiguration"]

    assert set(settings.values()) == {True}
    assert len(settings) == 4


@pytest.mark.fact("A new bucket is encrypted with AES256", s3_guide("default-bucket-encryption"))
def test_encryption_of_a_new_bucket(cloud: Server) -> None:
    client = create(cloud, "new-and-encrypted")

    rules = client.get_bucket_encryption(Bucket="new-and-encrypted")["ServerSideEncryptionConfiguration"]["Rules"]

    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    client.put_object(Bucket="new-and-encrypted", Key="a", Body=b"")
    assert client.head_object(Bucket="new-and-encrypted", Key="a")["ServerSideEncryption"] == "AES256"


@pytest.mark.fact("A new bucket's owner owns its objects (BucketOwnerEnforced)", s3_guide("about-object-ownership"))
@pytest.mark.fact("A bucket without ACLs refuses them: AccessControlListNotSupported",
                  s3_guide("about-object-ownership"))  # fmt: skip
def test_acls_of_a_new_bucket(cloud: Server) -> None:
    client = create(cloud, "new-without-acls")

    rules = client.get_bucket_ownership_controls(Bucket="new-without-acls")["OwnershipControls"]["Rules"]

    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    with refused("AccessControlListNotSupported", 400):
        client.put_object(Bucket="new-without-acls", Key="a", Body=b"", ACL="public-read")
    with refused("AccessControlListNotSupported", 400):
        client.put_bucket_acl(Bucket="new-without-acls", ACL="public-read")


@pytest.mark.fact("What a bucket does not have is a 404 of its own: NoSuchBucketPolicy, NoSuchTagSet, ...", ERRORS)
def test_settings_that_a_bucket_does_not_have(cloud: Server) -> None:
    client = create(cloud, "without-settings")
    named = {"Bucket": "without-settings"}

    with refused("NoSuchBucketPolicy", 404):
        client.get_bucket_policy(**named)
    with refused("NoSuchTagSet", 404):
        client.get_bucket_tagging(**named)
    with refused("NoSuchLifecycleConfiguration", 404):
        client.get_bucket_lifecycle_configuration(**named)
    with refused("NoSuchCORSConfiguration", 404):
        client.get_bucket_cors(**named)
    assert "Status" not in client.get_bucket_versioning(**named)


@pytest.mark.fact("A bucket policy that is no policy is refused: 400 MalformedPolicy", ERRORS)
def test_a_malformed_policy(cloud: Server) -> None:
    client = create(cloud, "with-a-policy")
    statement = {"Effect": "Maybe", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::x/*"}

    with refused("MalformedPolicy", 400):
        client.put_bucket_policy(Bucket="with-a-policy", Policy="nonsense")
    with refused("MalformedPolicy", 400):
        client.put_bucket_policy(
            Bucket="with-a-policy", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )


@pytest.mark.fact("A public bucket policy is refused while public access is blocked: 403 AccessDenied",
                  s3_guide("access-control-block-public-access"))  # fmt: skip
def test_a_public_policy(cloud: Server) -> None:
    client = create(cloud, "with-a-public-policy")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::with-a-public-policy/*",
    }

    with refused("AccessDenied", 403):
        client.put_bucket_policy(
            Bucket="with-a-public-policy", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )


@pytest.mark.fact(
    "A bucket policy denies nothing where its condition does not match", s3_guide("example-bucket-policies")
)
def test_a_policy_under_a_condition(cloud: Server) -> None:
    client = create(cloud, "with-a-condition")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::with-a-condition/*",
        "Condition": {"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}},
    }
    client.put_bucket_policy(
        Bucket="with-a-condition", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )

    client.put_object(Bucket="with-a-condition", Key="a", Body=b"one")

    assert client.get_object(Bucket="with-a-condition", Key="a")["Body"].read() == b"one"


@pytest.mark.fact("ListBuckets lists the account's own buckets alone", s3("ListBuckets"))
def test_the_buckets_of_an_account(cloud: Server) -> None:
    create(cloud, "listed-bucket")
    other = cloud.client_of("210987654321", "s3")
    other.create_bucket(Bucket="listed-elsewhere", CreateBucketConfiguration=IRELAND)

    assert [each["Name"] for each in other.list_buckets()["Buckets"]] == ["listed-elsewhere"]
    assert "listed-elsewhere" not in [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]]
