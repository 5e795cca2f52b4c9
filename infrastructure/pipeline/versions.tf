terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39, < 7"
    }
  }

  # This module creates the bucket for states, so its own state starts on disk. infrastructure/README.md
  # explains how to move it into the bucket.
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
