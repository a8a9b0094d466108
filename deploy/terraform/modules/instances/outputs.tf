output "private_ips" {
  description = "Private address of each machine"
  value       = local.private_ips
}

output "public_ips" {
  description = "Public address of each machine; none in a private subnet"
  value       = { for machine in keys(local.machines) : machine => var.public ? aws_eip.machine[machine].public_ip : "" }
}

output "instance_ids" {
  description = "Of each machine, for Session Manager"
  value       = { for machine, instance in aws_instance.machine : machine => instance.id }
}

output "user_data" {
  description = "What each machine is told at its first boot; holds no secret"
  value       = local.user_data
}

output "bucket" {
  description = "Bucket that gtap's image is shipped through"
  value       = aws_s3_bucket.artifacts.id
}

output "ami_id" {
  description = "Image that new machines are made of"
  value       = local.ami_id
}

output "addresses" {
  description = "Elastic addresses, in a public subnet"
  value       = [for address in aws_eip.machine : address.id]
}
