output "instance_private_ips" {
  description = "Private address of each machine"
  value       = module.instances.private_ips
}

output "instance_public_ips" {
  description = "Public address of each machine; empty in a private subnet"
  value       = module.instances.public_ips
}

output "instance_ids" {
  description = "Of each machine, for Session Manager"
  value       = module.instances.instance_ids
}

output "vpc_id" {
  description = "Of the VPC"
  value       = module.vpc.vpc_id
}

output "subnet_id" {
  description = "Of the machines' subnet"
  value       = module.network.subnet_id
}

output "security_groups" {
  description = "Security group of each machine"
  value       = module.security_groups.ids
}

output "artifacts_bucket" {
  description = "Bucket that gtap's image is shipped through"
  value       = module.instances.bucket
}

output "db_name" {
  description = "Database of records and costs"
  value       = var.db_name
}

output "account_id" {
  description = "Account that all this is in"
  value       = data.aws_caller_identity.current.account_id
}

output "arn" {
  description = "Who made it"
  value       = data.aws_caller_identity.current.arn
}

output "region" {
  description = "Region that it is in"
  value       = data.aws_region.current.name
}
