variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "secrets" {
  description = "Secrets to make, with what each is for"
  type        = map(string)
}

variable "secrets_version" {
  description = "Raise it to have new passwords made"
  type        = number
}
