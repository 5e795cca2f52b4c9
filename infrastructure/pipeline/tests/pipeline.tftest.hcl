# What the pipeline's own resources must be. Nothing here reaches AWS.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { id = "example-rebake" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/rebake-builder-test" }
  }

  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/rebake-builder-test" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/rebake-test" }
  }
}

variables {
  region      = "eu-west-1"
  bucket      = "example-rebake"
  vpc_id      = "vpc-0123456789abcdef0"
  services    = ["webapp", "search"]
  environment = "test"
}

run "the_bucket_is_versioned_encrypted_and_private" {
  assert {
    condition     = aws_s3_bucket.pipeline.versioning[0].enabled
    error_message = "A state that was overwritten must be recoverable."
  }

  assert {
    condition     = aws_s3_bucket.pipeline.server_side_encryption_configuration[0].rule[0].apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "The bucket must encrypt what it keeps."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.pipeline.block_public_acls,
      aws_s3_bucket_public_access_block.pipeline.block_public_policy,
      aws_s3_bucket_public_access_block.pipeline.ignore_public_acls,
      aws_s3_bucket_public_access_block.pipeline.restrict_public_buckets,
    ])
    error_message = "No way of making the bucket public may be open."
  }
}

run "the_bucket_refuses_connections_without_tls" {
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.pipeline.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*"
      && statement.Condition.Bool["aws:SecureTransport"] == "false"
      && toset(statement.Resource) == toset(["arn:aws:s3:::example-rebake", "arn:aws:s3:::example-rebake/*"])
    ])
    error_message = "The bucket and everything in it must be closed to plain HTTP."
  }
}

run "release_records_never_expire" {
  assert {
    condition     = alltrue([for rule in aws_s3_bucket.pipeline.lifecycle_rule : rule.prefix == "terraform/" && length(rule.expiration) == 0])
    error_message = "Only old versions of states may expire."
  }
}

run "builders_are_reached_through_systems_manager" {
  assert {
    condition = (
      aws_iam_role_policy_attachment.builder_systems_manager.policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
      && output.builder_instance_profile == "rebake-builder-test"
    )
    error_message = "Builders need Systems Manager's policy: they have no open port."
  }
}

run "every_service_has_a_policy_of_its_own" {
  assert {
    condition     = toset(keys(aws_iam_policy.pipeline)) == toset(["bake-images", "deploy-search", "deploy-webapp", "share-registry", "use-network"])
    error_message = "There must be three policies for all services and one for each."
  }

  assert {
    condition     = !strcontains(aws_iam_policy.pipeline["deploy-webapp"].policy, "search")
    error_message = "A service's policy must not name another's resources."
  }
}

run "every_policy_fits_in_the_characters_that_aws_allows" {
  assert {
    condition     = alltrue([for policy in aws_iam_policy.pipeline : length(policy.policy) <= 6144])
    error_message = "AWS takes at most 6,144 characters in a policy."
  }
}

run "what_applies_to_every_resource_only_reads" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in statement.Action : can(regex("^[a-z0-9]+:(Describe|Get|List)[A-Za-z]*\\*?$", action))
        ] if contains(statement.Resource, "*")
      ]
    ]))
    error_message = "A statement on every resource allows more than reading."
  }
}

run "no_statement_allows_a_whole_service" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in statement.Action : !can(regex("(^|:)\\*$", action))
        ]
      ]
    ]))
    error_message = "Actions must be named."
  }
}

run "instances_and_images_are_changed_only_under_our_tag" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement :
        contains(keys(try(statement.Condition.StringEquals, {})), "aws:ResourceTag/rebake:kind")
        if length(setintersection(statement.Action, [
          "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup", "ec2:DeleteSnapshot", "ec2:DeleteVolume",
          "ec2:DeregisterImage", "ec2:DisableImage", "ec2:EnableImageDeprecation", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances",
        ])) > 0
      ]
    ]))
    error_message = "What the pipeline did not make, it must not be able to end."
  }
}

run "key_pairs_are_made_and_deleted_only_under_packers_names" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in statement.Resource : endswith(resource, ":key-pair/packer_*")
        ] if length(setintersection(statement.Action, ["ec2:CreateKeyPair", "ec2:DeleteKeyPair"])) > 0
      ]
    ]))
    error_message = "Key pairs cannot always have tags, so their names must say whose they are."
  }
}

run "every_channel_can_be_read_by_the_path_of_all" {
  assert {
    condition = anytrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement :
        contains(statement.Resource, "arn:aws:ssm:eu-west-1:123456789012:parameter/rebake")
        if contains(statement.Action, "ssm:GetParametersByPath")
      ]
    ]))
    error_message = "GetParametersByPath is authorized for its path, which has no slash at its end."
  }
}

run "reports_on_the_estate_can_be_written_and_not_deleted" {
  assert {
    condition = toset(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : statement.Action
        if contains(statement.Resource, "arn:aws:s3:::example-rebake/reports/*")
      ]
    ])) == toset(["s3:GetObject", "s3:PutObject"])
    error_message = "The estate's DAGs write reports and read the one before."
  }
}

run "instances_can_be_given_no_policy_but_systems_managers" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement :
        try(statement.Condition.ArnEquals["iam:PolicyARN"], "") == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        if contains(statement.Action, "iam:AttachRolePolicy")
      ]
    ]))
    error_message = "Attaching policies must be limited to Systems Manager's."
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in statement.Action : !contains(["iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:CreatePolicyVersion"], action)
        ]
      ]
    ]))
    error_message = "The pipeline must not be able to write policies."
  }
}

run "no_release_record_and_no_state_can_be_deleted" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.pipeline : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in statement.Resource : endswith(resource, ".tflock")
        ] if contains(statement.Action, "s3:DeleteObject")
      ]
    ]))
    error_message = "Only a lock may be deleted."
  }
}

run "without_a_role_the_policies_are_attached_to_nothing" {
  assert {
    condition     = length(aws_iam_role_policy_attachment.pipeline) == 0
    error_message = "No role was named."
  }
}

run "the_pipelines_role_gets_every_policy" {
  variables {
    pipeline_role_name = "airflow-worker"
  }

  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.pipeline : attachment.role]) == toset(["airflow-worker"]) && length(aws_iam_role_policy_attachment.pipeline) == 5
    error_message = "The role must get all five policies."
  }
}
