# With their rules: a machine that boots before its rules stand could not fetch its packages.
output "ids" {
  description = "Security group of each machine"
  value       = { for machine, group in aws_security_group.this : machine => group.id }

  depends_on = [
    aws_vpc_security_group_ingress_rule.between,
    aws_vpc_security_group_egress_rule.between,
    aws_vpc_security_group_ingress_rule.admin,
    aws_vpc_security_group_egress_rule.out,
  ]
}

output "inward" {
  description = "What is let in, as the table says"
  value = concat(
    [for rule in values(local.between) : { from = rule.from, to = rule.to, port = rule.port }],
    [for rule in values(local.by_admin) : { from = var.admin_cidr, to = rule.to, port = rule.port }],
  )
}
