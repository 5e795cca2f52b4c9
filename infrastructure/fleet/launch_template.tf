# A change of the image makes a new numbered version. The pipeline chooses which version the group runs.
resource "aws_launch_template" "fleet" {
  name                   = local.name
  description            = "Instances of ${var.service} in ${var.environment}"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  update_default_version = false # nothing launches from $Default

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.instance.id]
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required" # IMDSv2 only
    http_put_response_hop_limit = 1
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = local.instance_tags
    }
  }
}
