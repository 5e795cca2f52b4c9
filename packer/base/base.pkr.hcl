# The base image: the vendor's newest one, updated, hardened, with the agents and the runtime that every
# application image shares.

locals {
  scripts = "${path.root}/../scripts"

  # The vendor's Debian image has no Systems Manager agent, yet session_manager needs one to connect. So the
  # builder installs it at its first boot, with the script that a bake over SSH runs later.
  bootstrap = join("\n", [
    "#!/usr/bin/env bash",
    "export REBAKE_PACKAGE_MANAGER=${var.package_manager} REBAKE_REGION=${var.region} REBAKE_INSTALL_AGENTS=true",
    file("${path.root}/../scripts/versions.sh"),
    file("${path.root}/../scripts/packages.sh"),
    file("${path.root}/../scripts/agents.sh"),
  ])
}

source "amazon-ebs" "base" {
  region                 = var.region
  custom_endpoint_ec2    = var.endpoint_url
  skip_region_validation = var.endpoint_url != ""
  # Only EC2's address can be changed; requests to any other service would go to AWS.
  skip_profile_validation = var.endpoint_url != ""
  skip_metadata_api_check = var.endpoint_url != ""

  ami_name        = var.ami_name
  ami_description = "Base image made from ${var.source_ami}"
  tags            = var.image_tags
  snapshot_tags   = var.image_tags

  source_ami           = var.source_ami
  instance_type        = var.instance_type
  iam_instance_profile = var.instance_profile
  vpc_id               = var.vpc_id
  subnet_id            = var.subnet_id
  user_data            = var.ssh_interface == "session_manager" ? local.bootstrap : ""
  run_tags             = var.run_tags
  run_volume_tags      = var.run_tags
  # A builder that shuts down for any reason is terminated, so that no stopped builder remains.
  shutdown_behavior = "terminate"

  communicator                          = "ssh"
  ssh_interface                         = var.ssh_interface
  ssh_username                          = var.ssh_username
  ssh_timeout                           = "10m"
  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = var.pipeline_cidrs
}

build {
  sources = ["source.amazon-ebs.base"]

  provisioner "file" {
    source      = local.scripts
    destination = "/tmp"
  }

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} bash -e {{ .Path }}"
    environment_vars = [
      "REBAKE_PACKAGE_MANAGER=${var.package_manager}",
      "REBAKE_REGION=${var.region}",
      "REBAKE_INSTALL_AGENTS=${var.install_agents}",
    ]
    # One upload and one run for all steps, because each costs several round trips. Their order matters:
    # hardening comes after everything is installed, and only assert-clean comes after the clean-up.
    inline = [
      join(" ", [
        "bash /tmp/scripts/run-steps.sh",
        "wait-for-boot",
        "update",
        "runtime",
        "agents",
        "harden-accounts",
        "harden-ssh",
        "harden-kernel",
        "harden-services",
        "record-packages",
        "checks/harden-accounts",
        "checks/harden-ssh",
        "checks/harden-kernel",
        "checks/harden-services",
        "cleanup",
        "assert-clean",
      ]),
      "rm -rf /tmp/scripts",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest_path
    strip_path = true
  }
}
