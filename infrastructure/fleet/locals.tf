locals {
  name = "${var.service}-${var.environment}"

  tags = {
    "rebake:kind"        = "fleet"
    "rebake:service"     = var.service
    "rebake:environment" = var.environment
    "rebake:module"      = "infrastructure/fleet"
  }

  # Instances do not inherit the provider's default_tags. The image's tags are on the launch template and
  # not on the group: the group's tags would already name the new version while a refresh still launches
  # instances of the old one.
  instance_tags = merge(var.extra_tags, local.tags, {
    "Name"           = local.name
    "rebake:version" = var.version_label
    "rebake:ami"     = var.ami_id
  })
}
