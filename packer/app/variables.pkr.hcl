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
