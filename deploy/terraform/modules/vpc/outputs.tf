output "vpc_id" {
  description = "Of the VPC"
  value       = aws_vpc.this.id
}

output "internet_gateway_id" {
  description = "Its way to the Internet"
  value       = aws_internet_gateway.this.id
}

output "flow_log" {
  description = "The flow log, where there is one"
  value       = aws_flow_log.this[*].id
}
