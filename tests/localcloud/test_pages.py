"""Lists come in pages of AWS's sizes, so that code which reads one page only is found out."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server

TEMPLATES = 203


def templates(records: Server) -> list[str]:
    """Make more launch templates than a page holds, the first with as many versions; return their ids."""
    ec2 = records.client("ec2")
    data = {"ImageId": records.seed_image(), "InstanceType": "t3.micro"}
    made = [
        ec2.create_launch_template(LaunchTemplateName=f"paged-{number}", LaunchTemplateData=data)["LaunchTemplate"]
        for number in range(TEMPLATES)
    ]
    ids = [template["LaunchTemplateId"] for template in made]
    for _ in range(TEMPLATES - 1):
        ec2.create_launch_template_version(LaunchTemplateId=ids[0], LaunchTemplateData=data)
    return ids


def pages(server: Server, action: str, key: str, **arguments: Any) -> list[int]:
    """Return how many items each page of an action had."""
    paginator = server.client("ec2").get_paginator(action)
    return [len(page[key]) for page in paginator.paginate(**arguments)]


def test_launch_templates_and_their_versions_come_two_hundred_at_a_time(records: Server) -> None:
    """By itself moto gives fifteen templates, and no way to the others."""
    first, *_ = templates(records)

    assert pages(records, "describe_launch_templates", "LaunchTemplates") == [200, TEMPLATES - 200]
    of_one = pages(records, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId=first)
    of_all = pages(records, "describe_launch_template_versions", "LaunchTemplateVersions", Versions=["$Latest"])
    assert of_one == of_all == [200, TEMPLATES - 200]


def test_instances_volumes_and_interfaces_come_in_pages_of_the_requested_size(records: Server) -> None:
    ec2 = records.client("ec2")
    ids = [records.launch() for _ in range(7)]
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    size = {"PageSize": 5}

    found = pages(records, "describe_instances", "Reservations", Filters=running, PaginationConfig=size)

    assert found == [5, 2]
    volumes = [{"Name": "attachment.instance-id", "Values": ids}]
    assert pages(records, "describe_volumes", "Volumes", Filters=volumes, PaginationConfig=size) == [5, 2]
    interfaces = [{"Name": "attachment.instance-id", "Values": ids}]
    assert pages(
        records, "describe_network_interfaces", "NetworkInterfaces", Filters=interfaces, PaginationConfig=size
    ) == [5, 2]
    ec2.terminate_instances(InstanceIds=ids)


def test_images_and_snapshots_come_in_pages_of_the_requested_size(records: Server) -> None:
    ec2 = records.client("ec2")
    source = records.launch()
    for number in range(7):
        ec2.create_image(InstanceId=source, Name=f"paged-{number}")
    named = [{"Name": "name", "Values": ["paged-*"]}]
    size = {"PageSize": 5}

    assert pages(records, "describe_images", "Images", Filters=named, PaginationConfig=size) == [5, 2]
    snapshots = pages(records, "describe_snapshots", "Snapshots", OwnerIds=["self"], PaginationConfig=size)
    assert snapshots[0] == 5
    assert sum(snapshots) >= 7


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"MaxResults": 1001}, "InvalidParameterValue"), ({"NextToken": "made-up"}, "InvalidNextToken")],
    ids=["too large a page", "unknown token"],
)
def test_pages_that_aws_would_not_give_are_refused(records: Server, arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(ClientError, match=error):
        records.client("ec2").describe_images(**arguments)
