# Values that must be refused, each before anything is planned.

mock_provider "aws" {}

variables {
  region      = "eu-west-1"
  bucket      = "example-rebake"
  vpc_id      = "vpc-0123456789abcdef0"
  services    = ["webapp"]
  environment = "test"
}

run "refuses_a_region_that_is_none" {
  command = plan

  variables {
    region = "Ireland"
  }

  expect_failures = [var.region]
}

run "refuses_a_bucket_name_with_capitals" {
  command = plan

  variables {
    bucket = "Example"
  }

  expect_failures = [var.bucket]
}

run "refuses_a_vpc_id_that_is_none" {
  command = plan

  variables {
    vpc_id = "default"
  }

  expect_failures = [var.vpc_id]
}

run "refuses_no_services_at_all" {
  command = plan

  variables {
    services = []
  }

  expect_failures = [var.services]
}

run "refuses_a_service_name_with_a_wildcard" {
  command = plan

  variables {
    services = ["webapp", "*"]
  }

  expect_failures = [var.services]
}

run "refuses_more_services_than_a_role_takes_policies" {
  command = plan

  variables {
    services = ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"]
  }

  expect_failures = [var.services]
}

run "refuses_an_environment_name_with_a_slash" {
  command = plan

  variables {
    environment = "test/blue"
  }

  expect_failures = [var.environment]
}

run "refuses_a_role_arn_for_a_role_name" {
  command = plan

  variables {
    pipeline_role_name = "arn:aws:iam::123456789012:role/airflow-worker"
  }

  expect_failures = [var.pipeline_role_name]
}
