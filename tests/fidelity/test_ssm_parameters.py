"""Facts of Systems Manager: Parameter Store."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fidelity.refusals import refused
from tests.fidelity.sources import ssm, ssm_guide
from tests.localcloud.server_support import SEED_PARAMETER, Server, wait_until

SERVICE = "Systems Manager"
IMAGE = "aws:ec2:image"
IMAGES = ssm_guide("parameter-store-ec2-aliases")
NAMES = ssm_guide("sysman-paramstore-su-create")
PUBLIC = ssm_guide("parameter-store-public-parameters")
TIERS = ssm_guide("parameter-store-advanced-parameters")
UNKNOWN_IMAGE = "ami-0123456789abcdef0"


@pytest.fixture(scope="module")
def store(cloud: Server) -> Any:
    """A client of Systems Manager."""
    return cloud.client("ssm")


def put(store: Any, name: str, value: str = "one", **arguments: Any) -> int:
    answer = store.put_parameter(Name=name, Value=value, **{"Type": "String", **arguments})
    return int(answer["Version"])


def value(store: Any, name: str) -> str:
    return str(store.get_parameter(Name=name)["Parameter"]["Value"])


def names_of(store: Any, *filters: dict[str, Any]) -> set[str]:
    pages = store.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
    return {each["Name"] for page in pages for each in page["Parameters"]}


def at_once(looked: Callable[[str], bool], name: str) -> str:
    """Return the name at which it was seen: this machine may be busy for longer than AWS's check takes."""
    return next(one for one in (f"{name}-{number}" for number in range(20)) if looked(one))


# Images


@pytest.mark.fact("PutParameter of an aws:ec2:image answers before the image is checked; no value is there yet",
                  ssm("PutParameter"))  # fmt: skip
def test_an_image_is_checked_later(cloud: Server, store: Any) -> None:
    def is_not_there_at_first(name: str) -> bool:
        assert put(store, name, cloud.seed_image(), DataType=IMAGE) == 1
        return bool(store.get_parameters(Names=[name])["InvalidParameters"])

    name = at_once(is_not_there_at_first, "/images/new")
    wait_until(lambda: name in names_of(store), "the parameter")

    found = store.get_parameter(Name=name)["Parameter"]
    assert (found["Value"], found["Version"], found["DataType"]) == (cloud.seed_image(), 1, IMAGE)


@pytest.mark.fact("An aws:ec2:image may be another account's, if it is shared", IMAGES)
def test_a_shared_image(cloud: Server) -> None:
    there = cloud.client_of("210987654321", "ssm")
    image = cloud.client("ec2").create_image(InstanceId=cloud.launch_running()["InstanceId"], Name="shared")["ImageId"]
    shared = {"Add": [{"UserId": "210987654321"}]}
    cloud.client("ec2").modify_image_attribute(ImageId=image, LaunchPermission=shared)

    put(there, "/images/shared", image, DataType=IMAGE)
    wait_until(lambda: "/images/shared" in names_of(there), "the parameter")

    assert value(there, "/images/shared") == image


@pytest.mark.fact("Until a new aws:ec2:image is checked, the parameter has its old value and version", IMAGES)
def test_an_image_is_replaced_later(cloud: Server, store: Any) -> None:
    instance, seed = cloud.launch_running()["InstanceId"], cloud.seed_image()
    image = cloud.client("ec2").create_image(InstanceId=instance, Name="replaced-later")["ImageId"]

    def is_old_at_first(name: str) -> bool:
        put(store, name, seed, DataType=IMAGE)
        wait_until(lambda: name in names_of(store), "the parameter")
        assert put(store, name, image, DataType=IMAGE, Overwrite=True) == 2
        found = store.get_parameter(Name=name)["Parameter"]
        return (found["Value"], found["Version"]) == (seed, 1)

    name = at_once(is_old_at_first, "/images/replaced")
    wait_until(lambda: value(store, name) == image, "the new value")

    assert store.get_parameter(Name=name)["Parameter"]["Version"] == 2


@pytest.mark.fact("PutParameter of an image that does not exist succeeds, and changes nothing", ssm("PutParameter"))
def test_an_unknown_image_is_dropped(cloud: Server, store: Any) -> None:
    put(store, "/images/kept", cloud.seed_image(), DataType=IMAGE)
    wait_until(lambda: "/images/kept" in names_of(store), "the parameter")

    put(store, "/images/kept", UNKNOWN_IMAGE, DataType=IMAGE, Overwrite=True)
    put(store, "/images/never", UNKNOWN_IMAGE, DataType=IMAGE, Tags=[{"Key": "a", "Value": "b"}])
    put(store, "/images/later", cloud.seed_image(), DataType=IMAGE)
    wait_until(lambda: "/images/later" in names_of(store), "the parameter that was put last")

    found = store.get_parameter(Name="/images/kept")["Parameter"]
    assert (found["Value"], found["Version"]) == (cloud.seed_image(), 1)
    with refused("ParameterNotFound"):
        value(store, "/images/never")


@pytest.mark.fact("A parameter's data type cannot become aws:ec2:image, nor cease to be it",
                  ssm_guide("parameter-store-data-types"))  # fmt: skip
def test_the_data_type_of_an_image_is_fixed(cloud: Server, store: Any) -> None:
    put(store, "/images/text")
    put(store, "/images/image", cloud.seed_image(), DataType=IMAGE)
    wait_until(lambda: "/images/image" in names_of(store), "the parameter")

    with refused("ValidationException"):
        put(store, "/images/text", cloud.seed_image(), DataType=IMAGE, Overwrite=True)
    with refused("ValidationException"):
        put(store, "/images/image", "text", DataType="text", Overwrite=True)


# Values


@pytest.mark.fact("A standard parameter has 4,096 characters at most, an advanced one 8,192", TIERS)
def test_sizes(store: Any) -> None:
    put(store, "/sizes/standard", "x" * 4096)
    put(store, "/sizes/advanced", "x" * 8192, Tier="Advanced")

    with refused("ValidationException", 400, "4096 characters"):
        put(store, "/sizes/standard", "x" * 4097, Overwrite=True)
    with refused("ValidationException"):
        put(store, "/sizes/advanced", "x" * 8193, Tier="Advanced", Overwrite=True)


@pytest.mark.fact("Intelligent-Tiering makes a parameter advanced only if its value needs it", TIERS)
@pytest.mark.fact("An advanced parameter cannot become a standard one", TIERS)
def test_tiers(store: Any) -> None:
    intelligent = {"Type": "String", "Tier": "Intelligent-Tiering"}
    small = store.put_parameter(Name="/tiers/small", Value="x", **intelligent)
    large = store.put_parameter(Name="/tiers/large", Value="x" * 5000, **intelligent)

    assert (small["Tier"], large["Tier"]) == ("Standard", "Advanced")
    with refused("ValidationException"):
        put(store, "/tiers/large", "x", Tier="Standard", Overwrite=True)


@pytest.mark.fact("A value that does not match AllowedPattern: ParameterPatternMismatchException", ssm("PutParameter"))
@pytest.mark.fact("An AllowedPattern that is no regular expression: InvalidAllowedPatternException",
                  ssm("PutParameter"))  # fmt: skip
def test_patterns(store: Any) -> None:
    put(store, "/patterns/digits", "12", AllowedPattern=r"^\d+$")

    with refused("ParameterPatternMismatchException"):
        put(store, "/patterns/digits", "twelve", AllowedPattern=r"^\d+$", Overwrite=True)
    with refused("InvalidAllowedPatternException"):
        put(store, "/patterns/broken", AllowedPattern="(")
    assert value(store, "/patterns/digits") == "12"
    put(store, "/patterns/digits", "twelve", Overwrite=True)  # the API speaks of the request's pattern alone
    assert value(store, "/patterns/digits") == "twelve"


@pytest.mark.fact("PutParameter of a parameter that exists needs Overwrite: ParameterAlreadyExists",
                  ssm("PutParameter"))  # fmt: skip
@pytest.mark.fact("Each PutParameter makes the next version; old ones are read as name:version",
                  ssm_guide("sysman-paramstore-versions"))  # fmt: skip
def test_versions(store: Any) -> None:
    put(store, "/versions/a", "one")

    with refused("ParameterAlreadyExists"):
        put(store, "/versions/a", "two")
    assert put(store, "/versions/a", "two", Overwrite=True) == 2

    assert value(store, "/versions/a") == "two"
    assert value(store, "/versions/a:1") == "one"
    with refused("ParameterVersionNotFound"):
        value(store, "/versions/a:3")


@pytest.mark.fact("A parameter keeps its type: HierarchyTypeMismatchException", ssm("PutParameter"))
def test_the_type_is_fixed(store: Any) -> None:
    put(store, "/types/a")

    with refused("HierarchyTypeMismatchException"):
        put(store, "/types/a", Type="SecureString", Overwrite=True)


@pytest.mark.fact("A new parameter needs a type; an update does not", ssm("PutParameter"))
def test_a_type_is_needed_once(store: Any) -> None:
    with refused("ValidationException", 400, "A parameter type is required when you create a parameter."):
        store.put_parameter(Name="/types/none", Value="x")
    put(store, "/types/once")

    store.put_parameter(Name="/types/once", Value="two", Overwrite=True)

    assert value(store, "/types/once") == "two"


@pytest.mark.fact("Tags and Overwrite exclude each other: ValidationException", ssm("PutParameter"))
def test_tags_and_overwrite(store: Any) -> None:
    with refused("ValidationException", 400, "tags and overwrite can't be used together"):
        put(store, "/tags/a", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}])


@pytest.mark.fact("A parameter has 50 tags at most: TooManyTagsError", ssm("AddTagsToResource"))
def test_many_tags(store: Any) -> None:
    named = {"ResourceType": "Parameter", "ResourceId": "/tags/many"}
    put(store, "/tags/many")
    store.add_tags_to_resource(**named, Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])

    with refused("TooManyTagsError"):
        store.add_tags_to_resource(**named, Tags=[{"Key": "k50", "Value": "v"}])


@pytest.mark.fact("A SecureString is decrypted only with WithDecryption", ssm("GetParameter"))
def test_secure_strings(store: Any) -> None:
    put(store, "/secure/a", "secret", Type="SecureString")

    assert value(store, "/secure/a") != "secret"
    assert store.get_parameter(Name="/secure/a", WithDecryption=True)["Parameter"]["Value"] == "secret"


# Names


@pytest.mark.fact("A name has 15 levels at most: HierarchyLevelLimitExceededException", NAMES)
def test_levels(store: Any) -> None:
    put(store, "/l" * 15)

    with refused("HierarchyLevelLimitExceededException"):
        put(store, "/l" * 16)


@pytest.mark.fact("A name has 1,011 characters at most: ValidationException", NAMES)
@pytest.mark.fact("A name with a path begins with a slash: ValidationException", NAMES)
@pytest.mark.fact("A name has letters, digits and . _ - alone: ValidationException", NAMES)
def test_names(store: Any) -> None:
    for wrong in ("/" + "n" * 1011, "names/a", "/names/a b", "/names/a$"):
        with refused("ValidationException"):
            put(store, wrong)


@pytest.mark.fact("A name does not begin with aws or ssm: ValidationException", NAMES)
@pytest.mark.fact("A name below /aws is AWS's: AccessDeniedException", PUBLIC)
def test_reserved_names(store: Any) -> None:
    for wrong in ("aws-a", "SSM.a", "/ssm/a"):
        with refused("ValidationException"):
            put(store, wrong)
    with refused("AccessDeniedException", 400, "No access to reserved parameter name"):
        put(store, SEED_PARAMETER, UNKNOWN_IMAGE, Overwrite=True)


@pytest.mark.fact("Public parameters are read by name and by path", PUBLIC)
@pytest.mark.fact("Public parameters are not among the account's own: not described, not below /", PUBLIC)
@pytest.mark.fact("Public parameters cannot be deleted", PUBLIC)
def test_public_parameters(cloud: Server, store: Any) -> None:
    with pytest.raises(ClientError):
        store.delete_parameter(Name=SEED_PARAMETER)
    assert store.delete_parameters(Names=[SEED_PARAMETER])["InvalidParameters"] == [SEED_PARAMETER]
    published = store.get_parameters_by_path(Path="/aws/service/debian", Recursive=True)["Parameters"]
    below = store.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)

    assert [each["Name"] for each in published] == [SEED_PARAMETER]
    assert SEED_PARAMETER not in [each["Name"] for page in below for each in page["Parameters"]]
    assert [name for name in names_of(store) if name.startswith("/aws")] == []
    assert value(store, SEED_PARAMETER) == cloud.seed_image()


# Reads


@pytest.mark.fact("GetParameter and DeleteParameter of an unknown name: ParameterNotFound", ssm("GetParameter"))
def test_unknown_names(store: Any) -> None:
    with refused("ParameterNotFound"):
        value(store, "/unknown")
    with refused("ParameterNotFound"):
        store.delete_parameter(Name="/unknown")
    with refused("ParameterNotFound"):
        store.label_parameter_version(Name="/unknown", Labels=["a"])
    with refused("ParameterNotFound"):
        store.get_parameter_history(Name="/unknown")
    assert "/unknown" not in names_of(store)


@pytest.mark.fact("GetParameters takes ten names at most, and lists those that are unknown", ssm("GetParameters"))
@pytest.mark.fact("DeleteParameters lists the names that are unknown", ssm("DeleteParameters"))
def test_several_names(store: Any) -> None:
    put(store, "/several/a")
    names = ["/several/a", "/several/b"]

    with refused("ValidationException", 400, "Member must have length less than or equal to 10"):
        store.get_parameters(Names=[f"/several/{number}" for number in range(11)])
    found = store.get_parameters(Names=names)
    deleted = store.delete_parameters(Names=names)

    assert ([each["Name"] for each in found["Parameters"]], found["InvalidParameters"]) == (names[:1], names[1:])
    assert (deleted["DeletedParameters"], deleted["InvalidParameters"]) == (names[:1], names[1:])


@pytest.mark.fact("GetParametersByPath returns ten parameters a page at most", ssm("GetParametersByPath"))
@pytest.mark.fact("GetParametersByPath descends only if it is recursive", ssm("GetParametersByPath"))
def test_paths(store: Any) -> None:
    for number in range(11):
        put(store, f"/paths/{number:02}")
    put(store, "/paths/deeper/a")

    with refused("ValidationException", 400, "10"):
        store.get_parameters_by_path(Path="/paths", MaxResults=11)
    first = store.get_parameters_by_path(Path="/paths")
    rest = store.get_parameters_by_path(Path="/paths", NextToken=first["NextToken"])
    pages = store.get_paginator("get_parameters_by_path").paginate(Path="/paths", Recursive=True)

    assert (len(first["Parameters"]), len(rest["Parameters"]), "NextToken" in rest) == (10, 1, False)
    assert len([each for page in pages for each in page["Parameters"]]) == 12


@pytest.mark.fact("GetParametersByPath of a path without a slash at its begin is refused: ValidationException",
                  "[aws-sdk-js-v3, issue 5928](https://github.com/aws/aws-sdk-js-v3/issues/5928)")  # fmt: skip
@pytest.mark.fact("GetParametersByPath of a path without parameters is empty", ssm("GetParametersByPath"))
@pytest.mark.fact("A parameter without a path is below /", ssm_guide("sysman-paramstore-hierarchies"))
def test_paths_without_parameters(store: Any) -> None:
    put(store, "without-a-path")

    with refused("ValidationException", 400, 'must begin with a forward slash "/"'):
        store.get_parameters_by_path(Path="paths")
    assert store.get_parameters_by_path(Path="/nothing")["Parameters"] == []
    assert [each["Name"] for each in store.get_parameters_by_path(Path="/")["Parameters"]] == ["without-a-path"]


@pytest.mark.fact("A token that no page returned is refused: InvalidNextToken", ssm("GetParametersByPath"))
def test_unknown_tokens(store: Any) -> None:
    with refused("InvalidNextToken"):
        store.get_parameters_by_path(Path="/paths", NextToken="unknown")
    with refused("InvalidNextToken"):
        store.describe_parameters(NextToken="unknown")


@pytest.mark.fact("DescribeParameters filters by name, path, type and tags", ssm("DescribeParameters"))
@pytest.mark.fact("DescribeParameters refuses Label, which only GetParametersByPath has: InvalidFilterKey",
                  ssm("ParameterStringFilter"))  # fmt: skip
@pytest.mark.fact("DescribeParameters returns MaxResults parameters a page", ssm("DescribeParameters"))
def test_filters(store: Any) -> None:
    put(store, "/filters/a", Tags=[{"Key": "team", "Value": "web"}])
    put(store, "/filters/b", Type="StringList")
    put(store, "/filters/deeper/c")

    def named(key: str, *values: str, **option: str) -> set[str]:
        path = {"Key": "Path", "Option": "Recursive", "Values": ["/filters"]}
        return names_of(store, *([] if key == "Path" else [path]), {"Key": key, "Values": values, **option})

    assert named("Name", "/filters/a", "/filters/b") == {"/filters/a", "/filters/b"}
    assert named("Name", "/filters/d", Option="BeginsWith") == {"/filters/deeper/c"}
    assert named("Path", "/filters") == {"/filters/a", "/filters/b"}
    assert named("Type", "StringList") == {"/filters/b"}
    assert named("tag:team", "web") == {"/filters/a"}
    with refused("InvalidFilterKey"):
        named("Label", "a")
    path = [{"Key": "Path", "Values": ["/filters"]}]
    assert len(store.describe_parameters(ParameterFilters=path, MaxResults=1)["Parameters"]) == 1


# Labels


@pytest.mark.fact("A label names one version, and moves with the next LabelParameterVersion",
                  ssm_guide("sysman-paramstore-labels"))  # fmt: skip
@pytest.mark.fact("A label that begins with aws, ssm or a digit is not attached, and is listed",
                  ssm("LabelParameterVersion"))  # fmt: skip
@pytest.mark.fact("A version has ten labels at most: ParameterVersionLabelLimitExceeded", ssm("LabelParameterVersion"))
def test_labels(store: Any) -> None:
    put(store, "/labels/a", "one")
    put(store, "/labels/a", "two", Overwrite=True)

    store.label_parameter_version(Name="/labels/a", ParameterVersion=1, Labels=["prod"])
    assert value(store, "/labels/a:prod") == "one"
    answer = store.label_parameter_version(Name="/labels/a", ParameterVersion=2, Labels=["prod", "aws1", "ssm1", "1st"])
    assert value(store, "/labels/a:prod") == "two"
    assert sorted(answer["InvalidLabels"]) == ["1st", "aws1", "ssm1"]
    with refused("ParameterVersionLabelLimitExceeded"):
        store.label_parameter_version(
            Name="/labels/a", ParameterVersion=2, Labels=[f"label-{number}" for number in range(10)]
        )


@pytest.mark.fact("A parameter keeps its 100 newest versions", ssm_guide("sysman-paramstore-versions"))
@pytest.mark.fact("A label on the oldest of 100 versions prevents the next: ParameterMaxVersionLimitExceeded",
                  ssm_guide("sysman-paramstore-versions"))  # fmt: skip
def test_a_hundred_versions(store: Any) -> None:
    for number in range(1, 102):
        put(store, "/hundred/a", str(number), Overwrite=True)
    with refused("ParameterVersionNotFound"):
        value(store, "/hundred/a:1")
    assert value(store, "/hundred/a:2") == "2"

    store.label_parameter_version(Name="/hundred/a", ParameterVersion=2, Labels=["pinned"])
    with refused("ParameterMaxVersionLimitExceeded"):
        put(store, "/hundred/a", "102", Overwrite=True)

    assert value(store, "/hundred/a") == "101"
