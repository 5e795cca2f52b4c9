terraform {
  # 1.10 is the first with S3 state locking by lock file, in Terraform and in OpenTofu.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 3.39 knows default_tags; only arguments that every version since then accepts are used here.
      version = ">= 3.39, < 7"
    }
  }

  # The bucket, the key and the region differ by environment: `terraform init -backend-config=FILE`.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.extra_tags, local.tags)
  }
}
