# Resources named after one service: its fleet, its state, its channels and its release records.
locals {
  service_policies = {
    for service in var.services : service => {
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "Group"
          Effect = "Allow"
          Action = [
            "autoscaling:AttachLoadBalancerTargetGroups",
            "autoscaling:AttachTrafficSources",
            "autoscaling:CancelInstanceRefresh",
            "autoscaling:CreateAutoScalingGroup",
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteAutoScalingGroup",
            "autoscaling:DeleteTags",
            "autoscaling:DetachLoadBalancerTargetGroups",
            "autoscaling:DetachTrafficSources",
            "autoscaling:RollbackInstanceRefresh",
            "autoscaling:StartInstanceRefresh",
            "autoscaling:UpdateAutoScalingGroup",
          ]
          Resource = ["${local.autoscaling}:autoScalingGroup:*:autoScalingGroupName/${service}-${var.environment}"]
        },
        {
          Sid    = "LoadBalancer"
          Effect = "Allow"
          Action = [
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:ModifyListenerAttributes",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:RemoveTags",
            "elasticloadbalancing:SetIpAddressType",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:SetSubnets",
          ]
          Resource = [
            "${local.elb}:listener/app/${service}-${var.environment}/*",
            "${local.elb}:loadbalancer/app/${service}-${var.environment}/*",
            "${local.elb}:targetgroup/${service}-${var.environment}-*/*",
          ]
        },
        {
          Sid    = "InstanceRole"
          Effect = "Allow"
          Action = [
            "iam:AddRoleToInstanceProfile",
            "iam:CreateInstanceProfile",
            "iam:CreateRole",
            "iam:DeleteInstanceProfile",
            "iam:DeleteRole",
            "iam:GetInstanceProfile",
            "iam:GetRole",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:ListRolePolicies",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagInstanceProfile",
            "iam:TagRole",
            "iam:UntagInstanceProfile",
            "iam:UntagRole",
            "iam:UpdateRoleDescription",
          ]
          Resource = [
            "${local.iam}:instance-profile/${service}-${var.environment}-${var.region}",
            "${local.iam}:role/${service}-${var.environment}-${var.region}",
          ]
        },
        {
          # Otherwise the pipeline could give an instance any permission.
          Sid       = "SystemsManagersPolicyOnly"
          Effect    = "Allow"
          Action    = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
          Resource  = ["${local.iam}:role/${service}-${var.environment}-${var.region}"]
          Condition = { ArnEquals = { "iam:PolicyARN" = local.systems_manager_policy } }
        },
        {
          Sid       = "PassInstanceRole"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = ["${local.iam}:role/${service}-${var.environment}-${var.region}"]
          Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
        },
        {
          Sid    = "State"
          Effect = "Allow"
          Action = ["s3:GetObject", "s3:PutObject"]
          Resource = [
            "${local.bucket}/terraform/${service}-${var.environment}.tfstate",
            "${local.bucket}/terraform/${service}-${var.environment}.tfstate.tflock",
          ]
        },
        {
          Sid      = "Unlock"
          Effect   = "Allow"
          Action   = ["s3:DeleteObject"]
          Resource = ["${local.bucket}/terraform/${service}-${var.environment}.tfstate.tflock"]
        },
        {
          Sid      = "Promote"
          Effect   = "Allow"
          Action   = ["ssm:AddTagsToResource", "ssm:PutParameter"]
          Resource = ["${local.ssm}:parameter/rebake/${service}/*"]
        },
        {
          # The lease, which says who may change the service: granted by conditional writes, never deleted.
          Sid      = "Lease"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = ["${local.bucket}/leases/${service}.json"]
        },
        {
          # Records are written and never deleted.
          Sid      = "Records"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = ["${local.bucket}/releases/${service}/*"]
        },
      ]
    }
  }
}
