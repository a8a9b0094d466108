variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC"
  type        = string
}

variable "flow_logs" {
  description = "Keep a log of every connection, accepted or refused, in CloudWatch"
  type        = bool
}

variable "flow_log_days" {
  description = "Days that flow logs are kept"
  type        = number
}
