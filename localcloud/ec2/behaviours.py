"""What is emulated of instances and images, and which actions are changed; see `localcloud.coverage`."""

from __future__ import annotations

from localcloud.coverage import Behaviour, absent, partial

GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
LIFECYCLE = f"[user guide]({GUIDE}/ec2-instance-lifecycle.html)"
USER_DATA = f"[user guide]({GUIDE}/user-data.html)"
IMAGES = f"[user guide]({GUIDE}/creating-an-ami-ebs.html)"
DEREGISTER = f"[user guide]({GUIDE}/deregister-ami.html)"
METADATA = f"[user guide]({GUIDE}/ec2-instance-metadata.html)"
SECURITY = f"[user guide]({GUIDE}/ec2-security-groups.html)"
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
              "test_a_running_instance_is_rebooted_for_its_image_unless_told_not_to"),
    Behaviour("Tags go to the image and its snapshots", IMAGES, "test_tags_go_to_the_image_and_its_snapshots"),
    Behaviour("DeregisterImage frees the snapshot", DEREGISTER,
              "test_deregistering_removes_the_engines_image_and_frees_the_snapshot"),
    Behaviour("Launch templates give image, user data, tags and shutdown behaviour", TEMPLATES,
              "test_a_launch_template_gives_image_user_data_tags_and_shutdown_behavior"),
    partial("Security groups may not be deleted while in use", SECURITY,
            "test_a_security_group_can_go_once_its_instance_is_terminated", "They filter nothing."),
    absent("Instance metadata, and credentials by instance profile", METADATA, "There is no such service."),
    absent("Instance types, volumes, public addresses, subnets' address ranges", LIFECYCLE, "Records only."),
    absent("RunInstances launches up to MaxCount", LIFECYCLE, "MinCount instances are launched."),
)  # fmt: skip

ACTIONS = {
    "RunInstances": "boots containers",
    "StartInstances": "boots the same disk",
    "StopInstances": "shuts the machine down",
    "RebootInstances": "reboots the machine",
    "TerminateInstances": "removes container, volume and interface",
    "GetConsoleOutput": "the machine's journal",
    "CreateImage": "commits the container; NoReboot and tags of snapshots are honoured",
    "CopyImage": "the copy boots as well",
    "DeregisterImage": "removes the engine's image once no instance needs it",
    "CreateLaunchTemplate": "keeps what moto drops of the template's data",
    "CreateLaunchTemplateVersion": "as CreateLaunchTemplate",
    "DeleteSecurityGroup": "free once its instances are terminated",
}
