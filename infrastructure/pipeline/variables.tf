variable "region" {
  description = "AWS region of the pipeline and of the fleets that it deploys."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region is ${jsonencode(var.region)}; it must be the code of an AWS region, such as eu-west-1."
  }
}

variable "bucket" {
  description = "Name of the bucket for Terraform's states and the release records: the environment's `bucket`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is ${jsonencode(var.bucket)}; it must be 3 to 63 lower-case letters, digits and hyphens, and neither start nor end with a hyphen."
  }
}

variable "vpc_id" {
  description = "VPC of the pipeline's builders, probes and fleets; its policies allow no other VPC."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id is ${jsonencode(var.vpc_id)}; it must be vpc- and hexadecimal digits."
  }
}

variable "services" {
  description = "Services that the pipeline may deploy: the names in config/services."
  type        = list(string)

  validation {
    condition     = length(var.services) > 0 && alltrue([for name in var.services : can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", name))])
    error_message = "services is ${jsonencode(var.services)}; it must name at least one service, each in lower-case letters, digits and hyphens."
  }

  validation {
    condition     = length(distinct(var.services)) <= 7 && length(distinct(var.services)) == length(var.services)
    error_message = "services is ${jsonencode(var.services)}; each may be named once, and at most 7 fit: every service has a policy, and a role takes 10 policies unless AWS raised that quota."
  }
}

variable "environment" {
  description = "Environment that this pipeline deploys to: the name of its file in config/environments."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", var.environment))
    error_message = "environment is ${jsonencode(var.environment)}; it must be lower-case letters, digits and hyphens, and neither start nor end with a hyphen."
  }
}

variable "pipeline_role_name" {
  description = "Existing IAM role of the Airflow workers, to which the pipeline's policies are attached; empty attaches none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[[:alnum:]+=,.@_-]{0,64}$", var.pipeline_role_name))
    error_message = "pipeline_role_name is ${jsonencode(var.pipeline_role_name)}; it must be the name of a role (not its ARN), or empty."
  }
}
