# What Packer's amazon-ebs builder and the test on a temporary instance need. The pipeline can change only
# resources with its own tag rebake:kind, and only in one VPC.
locals {
  image_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Describe"
        Effect   = "Allow"
        Action   = ["ec2:Describe*"]
        Resource = ["*"]
      },
      {
        Sid       = "LaunchTagged"
        Effect    = "Allow"
        Action    = ["ec2:RunInstances"]
        Resource  = ["${local.ec2}:instance/*", "${local.ec2}:volume/*"]
        Condition = { StringEquals = { "aws:RequestTag/rebake:kind" = ["builder", "probe"] } }
      },
      {
        Sid       = "LaunchInOneNetwork"
        Effect    = "Allow"
        Action    = ["ec2:RunInstances"]
        Resource  = ["${local.ec2}:subnet/*", "${local.ec2}:security-group/*", "${local.ec2}:network-interface/*"]
        Condition = { ArnEquals = { "ec2:Vpc" = "${local.ec2}:vpc/${var.vpc_id}" } }
      },
      {
        Sid    = "LaunchFrom"
        Effect = "Allow"
        Action = ["ec2:RunInstances"]
        Resource = [
          "arn:${local.partition}:ec2:${var.region}::image/*",
          "arn:${local.partition}:ec2:${var.region}::snapshot/*",
          "${local.ec2}:key-pair/packer_*",
        ]
      },
      {
        Sid       = "EndBuildersAndProbes"
        Effect    = "Allow"
        Action    = ["ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"]
        Resource  = ["${local.ec2}:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = ["builder", "probe"] } }
      },
      {
        Sid       = "DeleteBuildersVolumes"
        Effect    = "Allow"
        Action    = ["ec2:DeleteVolume"]
        Resource  = ["${local.ec2}:volume/*"]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = ["builder", "probe"] } }
      },
      {
        Sid      = "TemporaryKeyPairs"
        Effect   = "Allow"
        Action   = ["ec2:CreateKeyPair", "ec2:DeleteKeyPair"]
        Resource = ["${local.ec2}:key-pair/packer_*"]
      },
      {
        Sid       = "ImageOfABuilder"
        Effect    = "Allow"
        Action    = ["ec2:CreateImage"]
        Resource  = ["${local.ec2}:instance/*"]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = "builder" } }
      },
      {
        Sid    = "NewImagesAndSnapshots"
        Effect = "Allow"
        Action = ["ec2:CreateImage"]
        Resource = [
          "arn:${local.partition}:ec2:${var.region}::image/*",
          "arn:${local.partition}:ec2:${var.region}::snapshot/*",
        ]
      },
      {
        # Packer tags an image and its snapshots last, after creating them without tags.
        Sid    = "TagImages"
        Effect = "Allow"
        Action = ["ec2:CreateTags"]
        Resource = [
          "arn:${local.partition}:ec2:${var.region}::image/*",
          "arn:${local.partition}:ec2:${var.region}::snapshot/*",
        ]
        Condition = { StringEquals = { "aws:RequestTag/rebake:kind" = ["app-image", "base-image", "builder"] } }
      },
      {
        Sid    = "KeepImages"
        Effect = "Allow"
        Action = [
          "ec2:CreateTags",
          "ec2:DeleteSnapshot",
          "ec2:DeleteTags",
          "ec2:DeregisterImage",
          "ec2:DisableImage",
          "ec2:EnableImageDeprecation",
          "ec2:ModifyImageAttribute",
        ]
        Resource = [
          "arn:${local.partition}:ec2:${var.region}::image/*",
          "arn:${local.partition}:ec2:${var.region}::snapshot/*",
        ]
        Condition = { StringEquals = { "aws:ResourceTag/rebake:kind" = ["app-image", "base-image", "builder"] } }
      },
      {
        Sid      = "TagWhatItCreates"
        Effect   = "Allow"
        Action   = ["ec2:CreateTags"]
        Resource = ["${local.ec2}:*/*"]
        Condition = {
          StringEquals = {
            "ec2:CreateAction" = ["CreateKeyPair", "CreateLaunchTemplate", "CreateSecurityGroup", "RunInstances"]
          }
        }
      },
      {
        Sid      = "PassTheBuildersRole"
        Effect   = "Allow"
        Action   = ["iam:GetInstanceProfile", "iam:PassRole"]
        Resource = [aws_iam_role.builder.arn, aws_iam_instance_profile.builder.arn]
      },
      {
        Sid       = "CommandProbes"
        Effect    = "Allow"
        Action    = ["ssm:SendCommand", "ssm:StartSession"]
        Resource  = ["${local.ec2}:instance/*"]
        Condition = { StringEquals = { "ssm:resourceTag/rebake:kind" = ["builder", "probe"] } }
      },
      {
        Sid    = "CommandDocuments"
        Effect = "Allow"
        Action = ["ssm:SendCommand", "ssm:StartSession"]
        Resource = [
          "arn:${local.partition}:ssm:${var.region}::document/AWS-RunShellScript",
          "arn:${local.partition}:ssm:${var.region}::document/AWS-StartPortForwardingSession",
        ]
      },
      {
        Sid      = "EndItsOwnSessions"
        Effect   = "Allow"
        Action   = ["ssm:ResumeSession", "ssm:TerminateSession"]
        Resource = ["${local.ssm}:session/$${aws:userid}-*"]
      },
      {
        Sid    = "CommandResults"
        Effect = "Allow"
        Action = [
          "ssm:DescribeInstanceInformation",
          "ssm:GetCommandInvocation",
          "ssm:ListCommandInvocations",
        ]
        Resource = ["*"]
      },
    ]
  }
}
