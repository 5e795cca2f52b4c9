# What Terraform needs for infrastructure/fleet besides the resources named after a service: launch templates
# and security groups have ids instead, so their tags identify the owner.
locals {
  network_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Describe"
        Effect = "Allow"
        Action = [
          "autoscaling:Describe*",
          "cloudwatch:DescribeAlarms",
          "elasticloadbalancing:Describe*",
        ]
        Resource = ["*"]
      },
      {
        # Auto Scaling checks that its caller may launch what the template describes.
        Sid    = "LaunchByTemplate"
        Effect = "Allow"
        Action = ["ec2:RunInstances"]
        Resource = [
          "${local.ec2}:instance/*",
          "${local.ec2}:launch-template/*",
          "${local.ec2}:volume/*",
        ]
        Condition = { ArnLike = { "ec2:LaunchTemplate" = "${local.ec2}:launch-template/*" } }
      },
      {
        Sid       = "NewTemplates"
        Effect    = "Allow"
        Action    = ["ec2:CreateLaunchTemplate"]
        Resource  = ["${local.ec2}:launch-template/*"]
        Condition = { StringEquals = { "aws:RequestTag/rebake:kind" = "fleet" } }
      },
      {
        Sid    = "Templates"
        Effect = "Allow"
        Action = [
          "ec2:CreateLaunchTemplateVersion",
          "ec2:CreateTags",
          "ec2:DeleteLaunchTemplate",
          "ec2:DeleteLaunchTemplateVersions",
          "ec2:DeleteTags",
          "ec2:ModifyLaunchTemplate",
        ]
        Resource  = ["${local.ec2}:launch-template/*"]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = "fleet" } }
      },
      {
        Sid      = "NewSecurityGroupsInOneNetwork"
        Effect   = "Allow"
        Action   = ["ec2:CreateSecurityGroup"]
        Resource = ["${local.ec2}:vpc/${var.vpc_id}"]
      },
      {
        Sid       = "NewSecurityGroupsTagged"
        Effect    = "Allow"
        Action    = ["ec2:CreateSecurityGroup"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = { StringEquals = { "aws:RequestTag/rebake:kind" = ["builder", "fleet", "probe"] } }
      },
      {
        Sid    = "SecurityGroups"
        Effect = "Allow"
        Action = [
          "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress",
          "ec2:CreateTags",
          "ec2:DeleteSecurityGroup",
          "ec2:DeleteTags",
          "ec2:RevokeSecurityGroupEgress",
          "ec2:RevokeSecurityGroupIngress",
          "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
          "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ]
        Resource = ["${local.ec2}:security-group/*"]
        Condition = {
          ArnEquals    = { "ec2:Vpc" = "${local.ec2}:vpc/${var.vpc_id}" }
          StringEquals = { "aws:ResourceTag/rebake:kind" = ["builder", "fleet", "probe"] }
        }
      },
      {
        # detect_drift repairs this on instances, if policy allows it.
        Sid       = "RequireMetadataTokens"
        Effect    = "Allow"
        Action    = ["ec2:ModifyInstanceMetadataOptions"]
        Resource  = ["${local.ec2}:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = "fleet" } }
      },
      {
        Sid      = "ServiceLinkedRoles"
        Effect   = "Allow"
        Action   = ["iam:CreateServiceLinkedRole"]
        Resource = ["${local.iam}:role/aws-service-role/*"]
        Condition = {
          StringEquals = {
            "iam:AWSServiceName" = ["autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com"]
          }
        }
      },
    ]
  }
}
