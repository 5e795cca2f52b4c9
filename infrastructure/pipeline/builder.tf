# Builders and probes are reached through Systems Manager: no key pair of ours, no inbound port.
resource "aws_iam_role" "builder" {
  name        = "rebake-builder-${var.environment}"
  description = "Instances on which images are baked and tested"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "builder_systems_manager" {
  role       = aws_iam_role.builder.name
  policy_arn = local.systems_manager_policy
}

resource "aws_iam_instance_profile" "builder" {
  name = aws_iam_role.builder.name
  role = aws_iam_role.builder.name
}
