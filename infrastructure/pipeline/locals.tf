data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  name      = "rebake-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # "<prefix>:<resource>" is an ARN of this account and region.
  ec2         = "arn:${local.partition}:ec2:${var.region}:${local.account}"
  autoscaling = "arn:${local.partition}:autoscaling:${var.region}:${local.account}"
  elb         = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}"
  ssm         = "arn:${local.partition}:ssm:${var.region}:${local.account}"
  iam         = "arn:${local.partition}:iam::${local.account}"
  bucket      = "arn:${local.partition}:s3:::${var.bucket}"

  systems_manager_policy = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
