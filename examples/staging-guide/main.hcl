# The staging guide's four stages, and the network layer that it deploys before the third, as a configuration.
# Each stage stands in its own file; their order is that of their dependencies, not of the files.

opdbus {
  features = ["openflow"] # without it stage-3-openflow is left out
}

variable "release" {
  type        = string
  default     = "1.0.0"
  description = "the version of op-dbus that the components are of"
  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.release))
    error_message = "The release reads MAJOR.MINOR.PATCH, such as 1.0.0."
  }
}

variable "subnet" {
  type        = string
  default     = "10.0.0.0/24"
  description = "the network behind the bridge"
}

locals {
  gateway = cidrhost(var.subnet, 1)
}

output "op_dbus" {
  description = "where the staged binary is"
  value       = "${stage.stage-1-core-dbus.path}/bin/op-dbus"
}

output "gateway" {
  value = local.gateway
}
