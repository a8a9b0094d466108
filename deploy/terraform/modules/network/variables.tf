variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "region" {
  description = "Region, of which the service names are made"
  type        = string
}

variable "vpc_id" {
  description = "VPC that the subnets are in"
  type        = string
}

variable "internet_gateway_id" {
  description = "Way to the Internet of what is public"
  type        = string
}

variable "availability_zone" {
  description = "Zone of the subnets; null lets AWS choose"
  type        = string
}

variable "subnet_cidr" {
  description = "Addresses of the machines' subnet"
  type        = string
}

variable "edge_subnet_cidr" {
  description = "Addresses of the NAT gateway's subnet, where the machines' is private"
  type        = string
}

variable "public" {
  description = "Whether the machines' subnet is a public one; a private one goes out through a NAT gateway"
  type        = bool
}
