variable "region" {
  description = "AWS region of the fleet."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region is ${jsonencode(var.region)}; it must be the code of an AWS region, such as eu-west-1."
  }
}

variable "service" {
  description = "Name of the service: the first part of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.service)) && !startswith(var.service, "internal-")
    error_message = "service is ${jsonencode(var.service)}; it must be lower-case letters, digits and hyphens, start with a letter, not end with a hyphen and not start with \"internal-\", which AWS keeps for itself."
  }

  validation {
    condition     = length("${var.service}-${var.environment}") <= 26
    error_message = "service and environment together are \"${var.service}-${var.environment}\", ${length("${var.service}-${var.environment}")} characters; at most 26 fit in a target group's name beside the port."
  }
}

variable "environment" {
  description = "Name of the environment: the second part of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", var.environment))
    error_message = "environment is ${jsonencode(var.environment)}; it must be lower-case letters, digits and hyphens, and neither start nor end with a hyphen."
  }
}

variable "ami_id" {
  description = "Image that new instances are launched from: a literal id, so that AWS can roll a refresh back."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]+$", var.ami_id))
    error_message = "ami_id is ${jsonencode(var.ami_id)}; it must be a literal image id, ami- and hexadecimal digits. AWS cannot roll back a template that names an image by resolve:ssm:."
  }
}

variable "version_label" {
  description = "Version of the application in the image, for the tag rebake:version."
  type        = string

  validation {
    condition     = can(regex("^[[:alnum:]][[:alnum:]._+-]{0,127}$", var.version_label))
    error_message = "version_label is ${jsonencode(var.version_label)}; it must be 1 to 128 letters, digits and . _ + -, starting with a letter or digit."
  }
}

variable "vpc_id" {
  description = "VPC of the fleet and its load balancer."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id is ${jsonencode(var.vpc_id)}; it must be vpc- and hexadecimal digits."
  }
}

variable "subnet_ids" {
  description = "Subnets of the fleet and its load balancer, in at least two availability zones."
  type        = list(string)

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids is ${jsonencode(var.subnet_ids)}; each must be subnet- and hexadecimal digits."
  }

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2 && length(distinct(var.subnet_ids)) == length(var.subnet_ids)
    error_message = "subnet_ids is ${jsonencode(var.subnet_ids)}; an application load balancer needs at least two different subnets, each in an availability zone of its own."
  }
}

variable "instance_type" {
  description = "Instance type of the fleet."
  type        = string
  default     = "t3.micro"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type is ${jsonencode(var.instance_type)}; it must be a family and a size, such as t3.micro."
  }
}

variable "min_size" {
  description = "Fewest instances of the group."
  type        = number

  validation {
    condition     = var.min_size >= 0 && floor(var.min_size) == var.min_size
    error_message = "min_size is ${var.min_size}; it must be a whole number, 0 or more."
  }
}

variable "max_size" {
  description = "Most instances of the group."
  type        = number

  validation {
    condition     = var.max_size >= 1 && floor(var.max_size) == var.max_size && var.max_size >= var.min_size
    error_message = "max_size is ${var.max_size}; it must be a whole number, 1 or more, and not below min_size, ${var.min_size}."
  }
}

variable "desired_capacity" {
  description = "Instances when the group is created. Scaling owns the number afterwards."
  type        = number

  validation {
    # With the sizes in the wrong order no number is valid, and max_size already reports that.
    condition     = floor(var.desired_capacity) == var.desired_capacity && (var.min_size > var.max_size || var.desired_capacity >= var.min_size && var.desired_capacity <= var.max_size)
    error_message = "desired_capacity is ${var.desired_capacity}; it must be a whole number between min_size, ${var.min_size}, and max_size, ${var.max_size}."
  }
}

variable "port" {
  description = "Port on which the application listens on an instance."
  type        = number
  default     = 8080

  validation {
    condition     = var.port >= 1 && var.port <= 65535 && floor(var.port) == var.port && var.port != 22
    error_message = "port is ${var.port}; it must be a whole number between 1 and 65535, and not 22: nobody logs into an instance."
  }
}

variable "listener_port" {
  description = "Port on which the load balancer listens."
  type        = number
  default     = 80

  validation {
    condition     = var.listener_port >= 1 && var.listener_port <= 65535 && floor(var.listener_port) == var.listener_port && var.listener_port != 22
    error_message = "listener_port is ${var.listener_port}; it must be a whole number between 1 and 65535, and not 22."
  }
}

variable "health_check" {
  description = "Health check of the target group; interval and timeout in seconds."
  type = object({
    path                = optional(string, "/healthz")
    interval            = optional(number, 15)
    timeout             = optional(number, 5)
    healthy_threshold   = optional(number, 2)
    unhealthy_threshold = optional(number, 3)
  })
  default = {}

  validation {
    condition     = startswith(var.health_check.path, "/")
    error_message = "health_check.path is ${jsonencode(var.health_check.path)}; it must start with a slash."
  }

  validation {
    condition     = var.health_check.interval >= 5 && var.health_check.interval <= 300
    error_message = "health_check.interval is ${var.health_check.interval}; it must be between 5 and 300 seconds."
  }

  validation {
    condition     = var.health_check.timeout >= 2 && var.health_check.timeout <= 120 && var.health_check.timeout < var.health_check.interval
    error_message = "health_check.timeout is ${var.health_check.timeout}; it must be between 2 and 120 seconds, and below the interval, ${var.health_check.interval}."
  }

  validation {
    condition     = alltrue([for count in [var.health_check.healthy_threshold, var.health_check.unhealthy_threshold] : count >= 2 && count <= 10])
    error_message = "health_check.healthy_threshold is ${var.health_check.healthy_threshold} and unhealthy_threshold is ${var.health_check.unhealthy_threshold}; both must be between 2 and 10 checks."
  }
}

variable "health_check_grace_period" {
  description = "Seconds after its launch during which an instance may fail its health checks: longer than a boot."
  type        = number
  default     = 120

  validation {
    condition     = var.health_check_grace_period >= 0 && var.health_check_grace_period <= 7200
    error_message = "health_check_grace_period is ${var.health_check_grace_period}; it must be between 0 and 7200 seconds."
  }
}

variable "deregistration_delay" {
  description = "Seconds for requests in flight to finish: at least the longest request."
  type        = number
  default     = 30

  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600
    error_message = "deregistration_delay is ${var.deregistration_delay}; it must be between 0 and 3600 seconds."
  }
}

variable "capacity_timeout" {
  description = "Seconds that the first apply waits for the first instances to be healthy."
  type        = number
  default     = 600

  validation {
    condition     = var.capacity_timeout >= 1 && var.capacity_timeout <= 3600
    error_message = "capacity_timeout is ${var.capacity_timeout}; it must be between 1 and 3600 seconds."
  }
}

variable "allowed_cidrs" {
  description = "Networks that may reach the load balancer."
  type        = list(string)

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs is ${jsonencode(var.allowed_cidrs)}; it must name at least one IPv4 network, such as 203.0.113.0/24."
  }
}

variable "pipeline_cidrs" {
  description = "Networks of the pipeline's workers, which may connect to instances directly; empty allows none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.pipeline_cidrs : can(cidrnetmask(cidr))])
    error_message = "pipeline_cidrs is ${jsonencode(var.pipeline_cidrs)}; each must be an IPv4 network, such as 10.0.0.0/16."
  }

  validation {
    condition     = alltrue([for cidr in var.pipeline_cidrs : !can(regex("/0$", cidr))])
    error_message = "pipeline_cidrs is ${jsonencode(var.pipeline_cidrs)}; instances must not be open to the world."
  }
}

variable "extra_tags" {
  description = "Tags of your own for every resource; the keys rebake:* and Name are the fleet's."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.extra_tags) : !startswith(key, "rebake:") && !startswith(lower(key), "aws:") && key != "Name"])
    error_message = "extra_tags has the keys ${jsonencode(keys(var.extra_tags))}; none may be Name or start with rebake: or aws:."
  }
}
