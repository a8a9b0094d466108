variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "secrets" {
  description = "Secrets to make: what each is for, and a version, which is raised to have a new one made"
  type        = map(object({ purpose = string, version = number }))
}
