# Who may talk to whom: one table, of which every rule is made. CA0's and CA1's docs/architecture.md
# show the same table, and a test holds what was created against both.

locals {
  machines = toset(["vm1_kafka", "vm2_mongo", "vm3_processor", "vm4_producers"])

  between = {
    processor_kafka = { from = "vm3_processor", to = "vm1_kafka", port = 9092, why = "consume and commit" }
    producers_kafka = { from = "vm4_producers", to = "vm1_kafka", port = 9092, why = "publish" }
    processor_mongo = { from = "vm3_processor", to = "vm2_mongo", port = 27017, why = "store records and costs" }
  }

  by_admin = merge(
    { processor_api = { to = "vm3_processor", port = 8080, why = "health and API" } },
    var.ssh ? { for machine in local.machines : "${machine}_ssh" => { to = machine, port = 22, why = "SSH with a key" } } : {},
  )

  # Packages, public images, AWS's own APIs. What goes to other machines is in `between`.
  outward = {
    dns_udp = { protocol = "udp", port = 53, cidr = var.vpc_cidr, why = "DNS" }
    dns_tcp = { protocol = "tcp", port = 53, cidr = var.vpc_cidr, why = "DNS" }
    http    = { protocol = "tcp", port = 80, cidr = "0.0.0.0/0", why = "packages" }
    https   = { protocol = "tcp", port = 443, cidr = "0.0.0.0/0", why = "packages and images and AWS" }
  }

  out = merge([for machine in local.machines : {
    for key, rule in local.outward : "${machine}_${key}" => merge(rule, { from = machine })
  }]...)
}

resource "aws_security_group" "this" {
  for_each = local.machines

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = "gtap: ${replace(each.key, "_", " ")}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

resource "aws_vpc_security_group_ingress_rule" "between" {
  for_each = local.between

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = { Name = each.value.why }
}

resource "aws_vpc_security_group_egress_rule" "between" {
  for_each = local.between

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = { Name = each.value.why }
}

resource "aws_vpc_security_group_ingress_rule" "admin" {
  for_each = local.by_admin

  security_group_id = aws_security_group.this[each.value.to].id
  cidr_ipv4         = var.admin_cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = { Name = each.value.why }
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = local.out

  security_group_id = aws_security_group.this[each.value.from].id
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = { Name = each.value.why }
}
