"""What is emulated of instances and images, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import Behaviour, absent, partial
from localcloud.ec2.pages import PAGES

GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
LIFECYCLE = f"[user guide]({GUIDE}/ec2-instance-lifecycle.html)"
SHARING = f"[user guide]({GUIDE}/sharingamis-explicit.html)"
USER_DATA = f"[user guide]({GUIDE}/user-data.html)"
IMAGES = f"[user guide]({GUIDE}/creating-an-ami-ebs.html)"
DEPRECATE = f"[user guide]({GUIDE}/ami-deprecate.html)"
DISABLE = f"[user guide]({GUIDE}/disable-an-ami.html)"
SOURCE = f"[user guide]({GUIDE}/identify-source-ami-used-to-create-new-ami.html)"
DEREGISTER = f"[user guide]({GUIDE}/deregister-ami.html)"
IMDS = f"[user guide]({GUIDE}/configuring-IMDS-new-instances.html)"
METADATA = f"[user guide]({GUIDE}/ec2-instance-metadata.html)"
SECURITY = f"[user guide]({GUIDE}/ec2-security-groups.html)"
REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
DELETE_VERSIONS = f"[API, DeleteLaunchTemplateVersions]({REFERENCE}/API_DeleteLaunchTemplateVersions.html)"
OPTIONS = f"[API, ModifyInstanceMetadataOptions]({REFERENCE}/API_ModifyInstanceMetadataOptions.html)"
PAGING = "[developer guide](https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-pagination.html)"
TEMPLATES = f"[user guide]({GUIDE}/ec2-launch-templates.html)"

BEHAVIOURS = (
    partial("An instance boots its image", LIFECYCLE,
            "test_an_instance_is_pending_until_it_answers_ssh_with_its_key_pair",
            "A container with systemd and sshd; running once it answers, terminated if it does not within 90 s."),
    Behaviour("User data scripts run once, as root", USER_DATA, "test_user_data_runs_once_as_root",
              note="Only scripts (`#!`)."),
    Behaviour("Stopping and starting keep disk and private address", LIFECYCLE,
              "test_stopping_and_starting_keeps_disk_and_address"),
    Behaviour("Powering off from inside follows the shutdown behaviour", LIFECYCLE,
              "test_powering_off_from_inside_follows_the_shutdown_behavior"),
    Behaviour("A client token launches once", LIFECYCLE, "test_a_client_token_launches_once"),
    Behaviour("CreateImage holds the disk; the instance reboots unless NoReboot", IMAGES,
              "test_a_running_instance_is_rebooted_for_its_image_unless_no_reboot_is_set"),
    Behaviour("Tags go to the image and its snapshots", IMAGES, "test_tags_go_to_the_image_and_its_snapshots"),
    Behaviour("An image reports that it supports IMDSv2", IMDS,
              "test_an_image_registered_to_require_imds_v2_reports_it"),
    Behaviour("Instances of such an image require IMDSv2, unless the launch sets otherwise", IMDS,
              "test_instances_of_an_image_that_demands_imds_v2_demand_it"),
    Behaviour("ModifyInstanceMetadataOptions leaves what it does not name", OPTIONS,
              "test_metadata_options_that_are_not_named_stay", note="Applied at once."),
    Behaviour("Images can be deprecated from a later minute on; owners see them all the same", DEPRECATE,
              "test_a_deprecated_image_has_the_minute_and_is_still_listed_for_its_owner",
              note="That public images may not be deprecated more than 2 years ahead is not checked."),
    Behaviour("A disabled image is hidden, and cannot be launched or shared", DISABLE,
              "test_a_disabled_image_is_hidden_and_cannot_be_launched",
              note="Named by its id and without IncludeDisabled the list is empty; AWS does not document it."),
    Behaviour("Disabling removes launch permissions for good", DISABLE,
              "test_disabling_ends_all_sharing_and_enabling_does_not_bring_it_back"),
    Behaviour("Snapshots of a registered image are in use, disabled or not", DISABLE,
              "test_snapshots_of_a_disabled_image_stay_in_use"),
    Behaviour("DeregisterImage deletes snapshots if requested", DEREGISTER,
              "test_deregistering_deletes_the_snapshots_if_requested"),
    Behaviour("Launches of a disabled or deregistered image fail, also those of a group", DISABLE,
              "test_a_group_reports_that_its_image_is_gone"),
    Behaviour("An image names the one it was made from", SOURCE, "test_a_copy_names_the_image_it_was_made_from"),
    Behaviour("DeregisterImage frees the snapshot", DEREGISTER,
              "test_deregistering_frees_the_snapshot_and_deleting_that_removes_the_engines_image"),
    Behaviour("A snapshot of a root volume keeps its disk, and boots once it is registered as an image", IMAGES,
              "test_a_snapshot_of_a_running_instance_boots_once_registered"),
    Behaviour("Launch templates give image, user data, tags and shutdown behaviour", TEMPLATES,
              "test_a_launch_template_gives_image_user_data_tags_and_shutdown_behavior"),
    Behaviour("Launch template versions are deleted each for itself, and never the default one", DELETE_VERSIONS,
              "test_undeletable_versions_are_reported_beside_the_deleted_ones",
              note="The error code of the default version is not documented; ours is unexpectedError."),
    Behaviour("The number of a deleted launch template version is not used again", TEMPLATES,
              "test_the_number_of_a_deleted_version_is_never_used_again"),
    partial("Long lists come in pages", PAGING,
            "test_instances_volumes_and_interfaces_come_in_pages_of_the_requested_size",
            "A request without MaxResults gets the largest page, where AWS may give more; DescribeInstances counts "
            "reservations."),
    Behaviour("Security groups may not be deleted while in use", SECURITY,
              "test_a_security_group_can_go_once_its_instance_is_terminated"),
    Behaviour("An instance finds its id where cloud-init writes it", METADATA,
              "test_any_user_of_an_instance_can_read_its_id"),
    absent("Instance types, volumes", LIFECYCLE, "Records only."),
    Behaviour("An image that is shared with an account is seen, launched and copied there", SHARING,
              "test_a_shared_image_is_launched_by_the_other_account"),
)  # fmt: skip

_NEW = ("ResetImageAttribute", "EnableImageDeregistrationProtection", "GetImageBlockPublicAccessState",
        "EnableImageBlockPublicAccess", "DisableImageBlockPublicAccess", "EnableImageDeprecation",
        "DisableImageDeprecation", "DeleteLaunchTemplateVersions")  # fmt: skip

ACTIONS = {
    **{action: f"in pages of up to {largest}" for action, (_, _, largest) in PAGES.items()},
    **dict.fromkeys(_NEW, "new"),
    "RunInstances": "boots containers; up to MaxCount, with every setting of the launch template",
    "StartInstances": "boots the same disk",
    "StopInstances": "shuts the machine down",
    "RebootInstances": "reboots the machine",
    "TerminateInstances": "removes container, volume and interface, unless they are to stay",
    "ModifyInstanceAttribute": "the shutdown behaviour too; some attributes of stopped instances only",
    "GetConsoleOutput": "the machine's journal",
    "CreateImage": "commits the container; NoReboot and tags of snapshots are honoured",
    "ModifyImageAttribute": "ImdsSupport and the description too; pending and disabled images cannot be shared",
    "DisableImageDeregistrationProtection": "new; there is no cooldown",
    "DescribeImageAttribute": "imdsSupport too",
    "DisableImage": "the image cannot be launched, and its launch permissions go",
    "EnableImage": "only what was disabled becomes available",
    "DescribeImages": "in pages; disabled images, and what others deprecated, only if requested",
    "DescribeLaunchTemplates": "in pages of up to 200; tags as they are now",
    "DescribeLaunchTemplateVersions": "in pages of up to 200; ranges go by number",
    "ModifyLaunchTemplate": "the error of an unknown id",
    "DeleteLaunchTemplate": "the error of an unknown id",
    "DescribeSnapshots": "in pages of up to 1000; OwnerIds is honoured",
    "DescribeTags": "the same answer, found by id",
    "ModifyInstanceMetadataOptions": "what is not named stays",
    "AssociateIamInstanceProfile": "the error of an unknown profile",
    "CopyImage": "pending for a second; from any region; the copy boots, names its source, is encrypted, and gets tags",
    "RegisterImage": "boots the disk of the root volume's snapshot",
    "CreateSnapshot": "commits the container when the volume is an instance's root",
    "DeleteSnapshot": "removes the engine's image once no instance needs it",
    "DeregisterImage": "DeleteAssociatedSnapshots",
    "CreateLaunchTemplate": "keeps what moto drops of the template's data; a parameter as image has to exist",
    "CreateLaunchTemplateVersion": "as CreateLaunchTemplate; made from SourceVersion",
    "CreateTags": "tags that AWS sets do not count; instances and interfaces have to exist",
    "DeleteTags": "without tags, all of them go",
    "DeleteSecurityGroup": "free once no interface is in it and no rule names it",
    "CreateSecurityGroup": "none other is called default",
    "AuthorizeSecurityGroupIngress": "all rules or none",
    "AuthorizeSecurityGroupEgress": "all rules or none",
    "CreateNetworkInterface": "groups have to exist",
    "DeleteNetworkInterface": "not while it is attached",
}
