# What the fleet must be, whatever the variables are. Nothing here reaches AWS.

mock_provider "aws" {
  mock_resource "aws_launch_template" {
    defaults = {
      id             = "lt-0123456789abcdef0"
      latest_version = 7
    }
  }

  mock_resource "aws_lb" {
    defaults = {
      arn      = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/webapp-test/0123456789abcdef"
      dns_name = "webapp-test-1.eu-west-1.elb.amazonaws.com"
    }
  }

  mock_resource "aws_lb_target_group" {
    defaults = {
      arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/webapp-test-8080/0123456789abcdef"
    }
  }

  mock_resource "aws_iam_instance_profile" {
    defaults = {
      arn = "arn:aws:iam::123456789012:instance-profile/webapp-test-eu-west-1"
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
}

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
  pipeline_cidrs   = ["10.0.0.0/16"]
}

run "only_the_listener_is_open_to_the_world" {
  assert {
    condition = (
      aws_security_group_rule.load_balancer_from_clients.cidr_blocks == tolist(["0.0.0.0/0"])
      && aws_security_group_rule.load_balancer_from_clients.from_port == 80
      && aws_security_group_rule.load_balancer_from_clients.to_port == 80
      && aws_security_group_rule.load_balancer_from_clients.security_group_id == aws_security_group.load_balancer.id
    )
    error_message = "The load balancer must admit allowed_cidrs to the listener's port, and to that alone."
  }

  assert {
    condition = (
      aws_security_group_rule.instance_from_load_balancer.cidr_blocks == null
      && aws_security_group_rule.instance_from_load_balancer.source_security_group_id == aws_security_group.load_balancer.id
      && aws_security_group_rule.instance_from_pipeline[0].cidr_blocks == tolist(["10.0.0.0/16"])
    )
    error_message = "Instances must admit the load balancer and the pipeline, nobody else."
  }
}

run "without_pipeline_cidrs_only_the_load_balancer_reaches_an_instance" {
  variables {
    pipeline_cidrs = []
  }

  assert {
    condition     = length(aws_security_group_rule.instance_from_pipeline) == 0
    error_message = "No pipeline network was given, and yet a rule admits one."
  }
}

run "no_rule_covers_the_port_of_ssh" {
  assert {
    condition = alltrue([
      for rule in concat(
        [aws_security_group_rule.load_balancer_from_clients, aws_security_group_rule.instance_from_load_balancer],
        aws_security_group_rule.instance_from_pipeline[*],
      ) : rule.protocol == "tcp" && (rule.to_port < 22 || rule.from_port > 22)
    ])
    error_message = "A rule admits traffic to port 22: nobody logs into an instance."
  }

  assert {
    condition     = aws_launch_template.fleet.key_name == null
    error_message = "Instances must have no key pair."
  }
}

run "every_rule_says_what_it_is_for" {
  assert {
    condition = alltrue([
      for rule in concat(
        [
          aws_security_group_rule.load_balancer_from_clients,
          aws_security_group_rule.load_balancer_to_instances,
          aws_security_group_rule.instance_from_load_balancer,
          aws_security_group_rule.instance_outbound,
        ],
        aws_security_group_rule.instance_from_pipeline[*],
      ) : length(rule.description) > 10
    ])
    error_message = "A security group rule has no description."
  }
}

run "the_group_runs_a_numbered_launch_template_version" {
  assert {
    condition     = aws_autoscaling_group.fleet.launch_template[0].version == "7"
    error_message = "The group must name the template's newest version by its number: AWS rolls nothing else back."
  }

  assert {
    condition     = output.launch_template_version == "7" && output.launch_template_id == "lt-0123456789abcdef0"
    error_message = "The pipeline needs the template's id and the number of its newest version."
  }

  assert {
    condition     = aws_launch_template.fleet.update_default_version == false
    error_message = "The template's default version must not move: nothing may depend on it."
  }
}

run "the_launch_template_names_the_image_literally" {
  assert {
    condition     = aws_launch_template.fleet.image_id == "ami-0123456789abcdef0"
    error_message = "The launch template must name the image that was given."
  }
}

run "instances_answer_imds_version_2_only" {
  assert {
    condition = (
      aws_launch_template.fleet.metadata_options[0].http_tokens == "required"
      && aws_launch_template.fleet.metadata_options[0].http_put_response_hop_limit == 1
    )
    error_message = "The instance metadata service must require a session token, one hop away at most."
  }
}

run "instances_get_no_public_address" {
  assert {
    condition = alltrue([
      for interface in aws_launch_template.fleet.network_interfaces : tostring(interface.associate_public_ip_address) == "false"
    ]) && length(aws_launch_template.fleet.network_interfaces) == 1
    error_message = "An instance must have one network interface, without a public address."
  }
}

run "systems_manager_reaches_the_instances" {
  assert {
    condition     = aws_iam_role_policy_attachment.systems_manager.policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "The instances' role must carry Systems Manager's managed policy."
  }

  assert {
    condition = (
      aws_iam_role_policy_attachment.systems_manager.role == aws_iam_role.instance.name
      && aws_iam_instance_profile.instance.role == aws_iam_role.instance.name
      && aws_launch_template.fleet.iam_instance_profile[0].arn == aws_iam_instance_profile.instance.arn
    )
    error_message = "The launch template's instance profile must lead to that role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.instance.assume_role_policy).Statement[0].Principal.Service == "ec2.amazonaws.com"
    error_message = "Only EC2 may take the instances' role."
  }
}

run "instances_and_volumes_carry_the_image_in_their_tags" {
  variables {
    extra_tags = { team = "shop" }
  }

  assert {
    condition     = toset([for specification in aws_launch_template.fleet.tag_specifications : specification.resource_type]) == toset(["instance", "volume"])
    error_message = "Both instances and their volumes must be tagged."
  }

  assert {
    condition = alltrue([
      for specification in aws_launch_template.fleet.tag_specifications : specification.tags == tomap({
        "Name"               = "webapp-test"
        "rebake:kind"        = "fleet"
        "rebake:service"     = "webapp"
        "rebake:environment" = "test"
        "rebake:module"      = "infrastructure/fleet"
        "rebake:version"     = "1.2.3"
        "rebake:ami"         = "ami-0123456789abcdef0"
        "team"               = "shop"
      })
    ])
    error_message = "Instances and volumes must say whose they are, and which version and image they run."
  }
}

run "the_group_tags_itself_and_nothing_it_launches" {
  assert {
    condition = { for tag in aws_autoscaling_group.fleet.tag : tag.key => tag.value } == {
      "rebake:kind"        = "fleet"
      "rebake:service"     = "webapp"
      "rebake:environment" = "test"
      "rebake:module"      = "infrastructure/fleet"
    }
    error_message = "The group must carry the fleet's tags."
  }

  assert {
    condition     = alltrue([for tag in aws_autoscaling_group.fleet.tag : !tag.propagate_at_launch])
    error_message = "Instances get their tags from the launch template version, which knows the image."
  }
}

run "the_group_trusts_the_load_balancers_health_checks" {
  assert {
    condition     = aws_autoscaling_group.fleet.health_check_type == "ELB" && aws_autoscaling_group.fleet.health_check_grace_period == 120
    error_message = "With EC2's checks alone, an application that does not answer counts as healthy."
  }

  assert {
    condition     = aws_autoscaling_group.fleet.target_group_arns == toset([aws_lb_target_group.fleet.arn])
    error_message = "The group must register its instances with the target group."
  }
}

run "the_first_apply_waits_until_the_load_balancer_sees_the_whole_fleet" {
  assert {
    condition     = aws_autoscaling_group.fleet.min_elb_capacity == 3 && aws_autoscaling_group.fleet.wait_for_capacity_timeout == "600s"
    error_message = "No refresh follows the first apply: it must wait for the first instances itself."
  }
}

run "targets_are_checked_as_the_service_says" {
  variables {
    port                 = 9000
    deregistration_delay = 45
    health_check         = { path = "/ready", interval = 10, timeout = 4, healthy_threshold = 3, unhealthy_threshold = 4 }
  }

  assert {
    condition = (
      aws_lb_target_group.fleet.port == 9000
      && tonumber(aws_lb_target_group.fleet.deregistration_delay) == 45
      && aws_lb_target_group.fleet.health_check[0].path == "/ready"
      && aws_lb_target_group.fleet.health_check[0].interval == 10
      && aws_lb_target_group.fleet.health_check[0].timeout == 4
      && aws_lb_target_group.fleet.health_check[0].healthy_threshold == 3
      && aws_lb_target_group.fleet.health_check[0].unhealthy_threshold == 4
      && aws_lb_target_group.fleet.health_check[0].matcher == "200"
    )
    error_message = "The target group must check targets as health_check says."
  }

  assert {
    condition     = aws_lb_target_group.fleet.name == "webapp-test-9000"
    error_message = "The port must be in the target group's name: another port needs another target group beside it."
  }
}

run "targets_are_checked_at_healthz_by_default" {
  assert {
    condition = (
      aws_lb_target_group.fleet.health_check[0].path == "/healthz"
      && aws_lb_target_group.fleet.health_check[0].interval == 15
      && aws_lb_target_group.fleet.health_check[0].timeout == 5
      && aws_lb_target_group.fleet.health_check[0].healthy_threshold == 2
      && aws_lb_target_group.fleet.health_check[0].unhealthy_threshold == 3
      && aws_lb_target_group.fleet.port == 8080
    )
    error_message = "The defaults of health_check and port have changed."
  }
}

run "the_url_leaves_out_port_80" {
  assert {
    condition     = output.url == "http://webapp-test-1.eu-west-1.elb.amazonaws.com/"
    error_message = "The address must not name the port that every client assumes."
  }
}

run "the_url_names_any_other_port" {
  variables {
    listener_port = 8080
  }

  assert {
    condition     = output.url == "http://webapp-test-1.eu-west-1.elb.amazonaws.com:8080/"
    error_message = "The address must name the listener's port."
  }

  assert {
    condition     = aws_security_group_rule.load_balancer_from_clients.from_port == 8080
    error_message = "The security group must open the port that the listener has."
  }
}
