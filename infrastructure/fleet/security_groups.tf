# Separate rules (not inline ones): the two groups refer to each other.

resource "aws_security_group" "load_balancer" {
  name        = "${local.name}-load-balancer"
  description = "Load balancer of ${local.name}"
  vpc_id      = var.vpc_id
}

resource "aws_security_group_rule" "load_balancer_from_clients" {
  description       = "Clients to the listener: the only way in from outside"
  security_group_id = aws_security_group.load_balancer.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = var.listener_port
  to_port           = var.listener_port
  cidr_blocks       = var.allowed_cidrs
}

resource "aws_security_group_rule" "load_balancer_to_instances" {
  description              = "Requests and health checks to the instances"
  security_group_id        = aws_security_group.load_balancer.id
  type                     = "egress"
  protocol                 = "tcp"
  from_port                = var.port
  to_port                  = var.port
  source_security_group_id = aws_security_group.instance.id
}

resource "aws_security_group" "instance" {
  name        = "${local.name}-instance"
  description = "Instances of ${local.name}"
  vpc_id      = var.vpc_id
}

resource "aws_security_group_rule" "instance_from_load_balancer" {
  description              = "Requests and health checks from the load balancer"
  security_group_id        = aws_security_group.instance.id
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = var.port
  to_port                  = var.port
  source_security_group_id = aws_security_group.load_balancer.id
}

resource "aws_security_group_rule" "instance_from_pipeline" {
  count = length(var.pipeline_cidrs) > 0 ? 1 : 0

  description       = "HTTP checks of the pipeline on the instances"
  security_group_id = aws_security_group.instance.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = var.port
  to_port           = var.port
  cidr_blocks       = var.pipeline_cidrs
}

resource "aws_security_group_rule" "instance_outbound" {
  description       = "Systems Manager, and whatever the application calls"
  security_group_id = aws_security_group.instance.id
  type              = "egress"
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["0.0.0.0/0"]
}
