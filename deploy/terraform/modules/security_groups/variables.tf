variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the groups"
  type        = string
}

variable "vpc_cidr" {
  description = "Its addresses: the resolver is among them"
  type        = string
}

variable "admin_cidr" {
  description = "Where people come from: SSH, and the processor's API"
  type        = string
}

variable "ssh" {
  description = "Whether SSH is let in; without it the machines are reached by Session Manager alone"
  type        = bool
}
