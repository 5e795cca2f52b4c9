# Several policies, because AWS limits one to 6,144 characters. Each service's policy is named after it.
locals {
  policies = merge(
    {
      "bake-images"    = local.image_policy
      "use-network"    = local.network_policy
      "share-registry" = local.registry_policy
    },
    { for service, document in local.service_policies : "deploy-${service}" => document },
  )
}

resource "aws_iam_policy" "pipeline" {
  for_each = local.policies

  name        = "${local.name}-${each.key}"
  description = "Rebake's pipeline in ${var.environment}"
  policy      = jsonencode(each.value)
}

resource "aws_iam_role_policy_attachment" "pipeline" {
  for_each = toset(var.pipeline_role_name == "" ? [] : keys(local.policies))

  role       = var.pipeline_role_name
  policy_arn = aws_iam_policy.pipeline[each.key].arn
}
