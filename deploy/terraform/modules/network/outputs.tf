# Of the association, not of the subnet: who takes it from here waits until there is a way out, so
# that a machine that boots finds its packages.
output "subnet_id" {
  description = "Subnet of the machines, routed"
  value       = aws_route_table_association.machines.subnet_id
}

output "availability_zone" {
  description = "Its zone"
  value       = aws_subnet.machines.availability_zone
}

output "nat" {
  description = "The NAT gateway, where there is one"
  value       = aws_nat_gateway.edge[*].id
}
