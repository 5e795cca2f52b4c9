variable "install_agents" {
  type        = bool
  description = "Whether to install the Systems Manager agent where the vendor's image lacks it."
}
