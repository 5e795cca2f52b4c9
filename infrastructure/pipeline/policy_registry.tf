# The part of the image registry (Parameter Store) that all services share, and the artifacts.
locals {
  registry_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath"]
        Resource = ["${local.ssm}:parameter/rebake", "${local.ssm}:parameter/rebake/*"]
      },
      {
        Sid      = "PromoteBases"
        Effect   = "Allow"
        Action   = ["ssm:AddTagsToResource", "ssm:PutParameter"]
        Resource = ["${local.ssm}:parameter/rebake/bases/*"]
      },
      {
        Sid      = "VendorsImages"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters"]
        Resource = ["arn:${local.partition}:ssm:${var.region}::parameter/aws/service/*"]
      },
      {
        # Without a prefix: Terraform lists workspaces, and the pipeline checks that the bucket exists.
        Sid      = "Find"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.bucket]
      },
      {
        Sid      = "Artifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.bucket}/artifacts/*"]
      },
      {
        # Records and bills of materials are written and never deleted.
        Sid      = "BaseRecords"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["${local.bucket}/bases/*", "${local.bucket}/sboms/*"]
      },
      {
        Sid      = "Reports"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["${local.bucket}/reports/*"]
      },
    ]
  }
}
