terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39, < 7"
    }
  }

  # The bucket that states are kept in is made here, so this one state starts on disk. README.md says how
  # to move it into the bucket afterwards.
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      "rebake:kind"   = "pipeline"
      "rebake:module" = "infrastructure/pipeline"
    }
  }
}
