resource "aws_autoscaling_group" "fleet" {
  name                = local.name
  min_size            = var.min_size
  max_size            = var.max_size
  desired_capacity    = var.desired_capacity
  vpc_zone_identifier = var.subnet_ids
  target_group_arns   = [aws_lb_target_group.fleet.arn]

  # With EC2 checks alone, an application that crashes counts as healthy, and a refresh to it succeeds.
  health_check_type         = "ELB"
  health_check_grace_period = var.health_check_grace_period

  # No refresh follows the first apply, so the apply itself waits until every first instance passes its
  # health checks. min_elb_capacity counts only when the group is created: later, the pipeline waits for
  # the refresh.
  min_elb_capacity          = var.desired_capacity
  wait_for_capacity_timeout = "${var.capacity_timeout}s"

  # A number, never $Latest or $Default: AWS rolls a refresh back only to a numbered version.
  launch_template {
    id      = aws_launch_template.fleet.id
    version = aws_launch_template.fleet.latest_version
  }

  dynamic "tag" {
    for_each = merge(var.extra_tags, local.tags)

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # instances get theirs from the launch template
    }
  }

  lifecycle {
    ignore_changes = [
      desired_capacity,           # scaling owns it once the group exists: docs/drift.md
      min_elb_capacity,           # copies desired_capacity, and has no effect later
      launch_template[0].version, # the refresh writes it, so that AWS can roll it back
    ]
  }

  # An instance that boots before these exist cannot register with Systems Manager or pass a health check.
  depends_on = [
    aws_iam_role_policy_attachment.systems_manager,
    aws_security_group_rule.instance_from_load_balancer,
    aws_security_group_rule.instance_outbound,
  ]
}
