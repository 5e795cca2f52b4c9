# What both templates take: each has this file as a link, because Packer reads one folder and includes nothing.

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
  description = "Image that the new one is made from."

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
  description = "User for SSH on the source image, with sudo."
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
  description = "Networks that the builder's temporary security group admits by SSH."

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
  description = "File for the manifest of this run."
}

variable "image_tags" {
  type        = map(string)
  description = "Tags of the image and of its snapshots: its lineage."
}

variable "run_tags" {
  type        = map(string)
  description = "Tags of the builder and its volumes: which run they belong to."
}
