# Values that must be refused, each before anything is planned.

mock_provider "aws" {}

variables {
  region           = "eu-west-1"
  service          = "webapp"
  environment      = "test"
  ami_id           = "ami-0123456789abcdef0"
  version_label    = "1.2.3"
  vpc_id           = "vpc-0123456789abcdef0"
  subnet_ids       = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  min_size         = 2
  max_size         = 6
  desired_capacity = 3
  allowed_cidrs    = ["0.0.0.0/0"]
}

run "refuses_a_region_that_is_none" {
  command = plan

  variables {
    region = "Ireland"
  }

  expect_failures = [
    var.region,
  ]
}

run "refuses_a_service_name_in_capitals" {
  command = plan

  variables {
    service = "WebApp"
  }

  expect_failures = [
    var.service,
  ]
}

run "refuses_a_service_name_that_aws_keeps_for_itself" {
  command = plan

  variables {
    service = "internal-api"
  }

  expect_failures = [
    var.service,
  ]
}

run "refuses_a_name_too_long_for_a_target_group" {
  command = plan

  variables {
    service = "a-service-with-a-long-name"
  }

  expect_failures = [
    var.service,
  ]
}

run "refuses_an_environment_name_that_ends_with_a_hyphen" {
  command = plan

  variables {
    environment = "test-"
  }

  expect_failures = [
    var.environment,
  ]
}

run "refuses_an_image_by_parameter_instead_of_by_id" {
  command = plan

  variables {
    ami_id = "resolve:ssm:/rebake/webapp/current"
  }

  expect_failures = [
    var.ami_id,
  ]
}

run "refuses_an_empty_image_id" {
  command = plan

  variables {
    ami_id = ""
  }

  expect_failures = [
    var.ami_id,
  ]
}

run "refuses_an_image_id_that_is_not_hexadecimal" {
  command = plan

  variables {
    ami_id = "ami-latest"
  }

  expect_failures = [
    var.ami_id,
  ]
}

run "refuses_an_empty_version" {
  command = plan

  variables {
    version_label = ""
  }

  expect_failures = [
    var.version_label,
  ]
}

run "refuses_a_vpc_id_that_is_none" {
  command = plan

  variables {
    vpc_id = "default"
  }

  expect_failures = [
    var.vpc_id,
  ]
}

run "refuses_a_subnet_id_that_is_none" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0", "eu-west-1a"]
  }

  expect_failures = [
    var.subnet_ids,
  ]
}

run "refuses_a_single_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [
    var.subnet_ids,
  ]
}

run "refuses_the_same_subnet_twice" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef0"]
  }

  expect_failures = [
    var.subnet_ids,
  ]
}

run "refuses_an_instance_type_without_a_size" {
  command = plan

  variables {
    instance_type = "t3"
  }

  expect_failures = [
    var.instance_type,
  ]
}

run "refuses_a_negative_min_size" {
  command = plan

  variables {
    min_size = -1
  }

  expect_failures = [
    var.min_size,
  ]
}

run "refuses_half_an_instance" {
  command = plan

  variables {
    min_size = 1.5
  }

  expect_failures = [
    var.min_size,
  ]
}

run "refuses_a_max_size_below_min_size" {
  command = plan

  variables {
    min_size = 4
    max_size = 3
  }

  expect_failures = [
    var.max_size,
  ]
}

run "refuses_a_desired_capacity_below_min_size" {
  command = plan

  variables {
    desired_capacity = 1
  }

  expect_failures = [
    var.desired_capacity,
  ]
}

run "refuses_a_desired_capacity_above_max_size" {
  command = plan

  variables {
    desired_capacity = 7
  }

  expect_failures = [
    var.desired_capacity,
  ]
}

run "refuses_the_port_of_ssh_for_the_application" {
  command = plan

  variables {
    port = 22
  }

  expect_failures = [
    var.port,
  ]
}

run "refuses_a_port_above_65535" {
  command = plan

  variables {
    port = 65536
  }

  expect_failures = [
    var.port,
  ]
}

run "refuses_the_port_of_ssh_for_the_listener" {
  command = plan

  variables {
    listener_port = 22
  }

  expect_failures = [
    var.listener_port,
  ]
}

run "refuses_a_listener_on_port_0" {
  command = plan

  variables {
    listener_port = 0
  }

  expect_failures = [
    var.listener_port,
  ]
}

run "refuses_a_health_check_path_without_a_slash" {
  command = plan

  variables {
    health_check = { path = "healthz" }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_a_health_check_interval_below_5_seconds" {
  command = plan

  variables {
    health_check = { interval = 4, timeout = 2 }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_a_health_check_timeout_as_long_as_the_interval" {
  command = plan

  variables {
    health_check = { interval = 10, timeout = 10 }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_a_health_check_timeout_below_2_seconds" {
  command = plan

  variables {
    health_check = { timeout = 1 }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_a_single_health_check_as_proof_of_health" {
  command = plan

  variables {
    health_check = { healthy_threshold = 1 }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_eleven_failed_health_checks" {
  command = plan

  variables {
    health_check = { unhealthy_threshold = 11 }
  }

  expect_failures = [
    var.health_check,
  ]
}

run "refuses_a_negative_grace_period" {
  command = plan

  variables {
    health_check_grace_period = -1
  }

  expect_failures = [
    var.health_check_grace_period,
  ]
}

run "refuses_a_deregistration_delay_above_an_hour" {
  command = plan

  variables {
    deregistration_delay = 3601
  }

  expect_failures = [
    var.deregistration_delay,
  ]
}

run "refuses_a_capacity_timeout_of_0_seconds" {
  command = plan

  variables {
    capacity_timeout = 0
  }

  expect_failures = [
    var.capacity_timeout,
  ]
}

run "refuses_an_empty_list_of_clients" {
  command = plan

  variables {
    allowed_cidrs = []
  }

  expect_failures = [
    var.allowed_cidrs,
  ]
}

run "refuses_a_client_network_without_a_prefix_length" {
  command = plan

  variables {
    allowed_cidrs = ["203.0.113.7"]
  }

  expect_failures = [
    var.allowed_cidrs,
  ]
}

run "refuses_a_pipeline_network_that_is_none" {
  command = plan

  variables {
    pipeline_cidrs = ["10.0.0.0/33"]
  }

  expect_failures = [
    var.pipeline_cidrs,
  ]
}

run "refuses_instances_open_to_the_world" {
  command = plan

  variables {
    pipeline_cidrs = ["10.0.0.0/16", "0.0.0.0/0"]
  }

  expect_failures = [
    var.pipeline_cidrs,
  ]
}

run "refuses_a_tag_in_the_fleets_own_name_space" {
  command = plan

  variables {
    extra_tags = { "rebake:version" = "9.9.9" }
  }

  expect_failures = [
    var.extra_tags,
  ]
}

run "refuses_a_tag_in_the_name_space_of_aws" {
  command = plan

  variables {
    extra_tags = { "aws:cloudformation:stack-name" = "mine" }
  }

  expect_failures = [
    var.extra_tags,
  ]
}
