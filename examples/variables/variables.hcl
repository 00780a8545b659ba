variable "release" {
  type    = string
  default = "2.1.0"
}

variable "sites" {
  type        = map(string)
  description = "the domain of each site"
  validation {
    condition     = alltrue([for domain in values(var.sites) : can(regex("^[a-z0-9.-]+$", domain))])
    error_message = "A domain is made of lower case letters, digits, dots and hyphens."
  }
}

variable "features" {
  type    = set(string)
  default = []
}

variable "protected" {
  type        = bool
  default     = false
  description = "whether a site may be destroyed"
}

variable "token" {
  type        = string
  sensitive   = true
  default     = "not-a-secret"
  description = "what the monitor authenticates with; set it by OPDBUS_VAR_token"
}
