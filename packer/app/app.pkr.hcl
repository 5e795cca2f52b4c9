# An application image: a thin layer on a base image. It holds the artifact below /opt, a user for it and its
# unit, enabled, so that every instance of the image serves as soon as it has booted.

source "amazon-ebs" "app" {
  region                 = var.region
  custom_endpoint_ec2    = var.endpoint_url
  skip_region_validation = var.endpoint_url != ""
  # Only EC2's address can be changed; requests to any other service would go to AWS.
  skip_profile_validation = var.endpoint_url != ""
  skip_metadata_api_check = var.endpoint_url != ""

  ami_name        = var.ami_name
  ami_description = "${var.service} ${var.version} on ${var.source_ami}"
  tags            = var.image_tags
  snapshot_tags   = var.image_tags

  source_ami           = var.source_ami
  instance_type        = var.instance_type
  iam_instance_profile = var.instance_profile
  vpc_id               = var.vpc_id
  subnet_id            = var.subnet_id
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
  sources = ["source.amazon-ebs.app"]

  provisioner "file" {
    source      = "${path.root}/../scripts"
    destination = "/tmp"
  }

  provisioner "file" {
    source      = var.artifact_path
    destination = "/tmp/artifact.tar.gz"
  }

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} bash -e {{ .Path }}"
    environment_vars = [
      "REBAKE_PACKAGE_MANAGER=${var.package_manager}",
      "REBAKE_SERVICE=${var.service}",
      "REBAKE_ARTIFACT=/tmp/artifact.tar.gz",
      "REBAKE_ARTIFACT_SHA256=${var.artifact_sha256}",
    ]
    # One upload and one run for all steps, because each costs several round trips.
    inline = [
      join(" ", [
        "bash /tmp/scripts/run-steps.sh",
        "wait-for-boot",
        "install-artifact",
        "self-test",
        "record-packages",
        "cleanup",
        "assert-clean",
      ]),
      "rm -rf /tmp/scripts /tmp/artifact.tar.gz",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest_path
    strip_path = true
  }
}
