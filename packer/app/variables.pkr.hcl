variable "region" {
  type        = string
  description = "AWS region to bake in."
}

variable "endpoint_url" {
  type        = string
  default     = ""
  description = "Address of an EC2 API other than AWS's own; empty for AWS."
}

variable "source_ami" {
  type        = string
  description = "Base image that the application is laid on."

  validation {
    condition     = length(var.source_ami) > 0 && regex_replace(var.source_ami, "^ami-[0-9a-f]{8,17}$", "") == ""
    error_message = "The variable source_ami must be an image id such as ami-0123456789abcdef0."
  }
}

variable "ami_name" {
  type        = string
  description = "Name of the new image, unique in the account and region."
}

variable "instance_type" {
  type        = string
  description = "Type of the builder instance."
}

variable "ssh_username" {
  type        = string
  description = "User that the source image lets in by SSH, with sudo."
}

variable "ssh_interface" {
  type        = string
  description = "How Packer reaches the builder: private_ip, or session_manager, which needs no open port."

  validation {
    condition     = contains(["private_ip", "session_manager"], var.ssh_interface)
    error_message = "The variable ssh_interface must be private_ip or session_manager."
  }
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "Network of the builder; empty for the default VPC."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Subnet of the builder; empty for one of the default VPC."
}

variable "pipeline_cidrs" {
  type        = list(string)
  description = "Addresses that the builder's temporary security group lets in by SSH."

  validation {
    condition     = length(var.pipeline_cidrs) > 0 && contains(var.pipeline_cidrs, "0.0.0.0/0") == false
    error_message = "The variable pipeline_cidrs must name at least one network, and not the whole world."
  }
}

variable "instance_profile" {
  type        = string
  default     = ""
  description = "Instance profile of the builder; session_manager needs one with AmazonSSMManagedInstanceCore."
}

variable "package_manager" {
  type        = string
  description = "Package manager of the source image: apt or dnf."

  validation {
    condition     = contains(["apt", "dnf"], var.package_manager)
    error_message = "The variable package_manager must be apt or dnf."
  }
}

variable "manifest_path" {
  type        = string
  description = "File that the manifest of this run is written to."
}

variable "image_tags" {
  type        = map(string)
  description = "Tags of the image and of its snapshots: where it comes from."
}

variable "run_tags" {
  type        = map(string)
  description = "Tags of the builder and its volumes: which run they belong to."
}

variable "service" {
  type        = string
  description = "Name of the service: of its unit, its user and its folder below /opt."

  validation {
    condition     = length(var.service) > 0 && regex_replace(var.service, "^[a-z][a-z0-9-]{1,30}$", "") == ""
    error_message = "The variable service must be a name of 2 to 31 small letters, digits and hyphens, a letter first."
  }
}

variable "version" {
  type        = string
  description = "Version of the application."
}

variable "artifact_path" {
  type        = string
  description = "The application's artifact, a tar.gz, on the machine that Packer runs on."
}

variable "artifact_sha256" {
  type        = string
  description = "SHA-256 checksum of the artifact, in hexadecimal; the builder compares what it received."

  validation {
    condition     = length(var.artifact_sha256) == 64 && regex_replace(var.artifact_sha256, "^[0-9a-f]+$", "") == ""
    error_message = "The variable artifact_sha256 must be 64 hexadecimal digits."
  }
}
