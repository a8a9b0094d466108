# The machines' subnet and its way out.
#
# Public: straight through the Internet gateway. Private: through a NAT gateway in a subnet of its
# own. VPC endpoints alone would not do: the machines install packages from Ubuntu's archive and pull
# two public images, which no endpoint serves. S3 has an endpoint in both cases: it costs nothing, and
# keeps gtap's image off the NAT gateway, which is paid by the gigabyte.

resource "aws_subnet" "machines" {
  vpc_id                  = var.vpc_id
  cidr_block              = var.subnet_cidr
  availability_zone       = var.availability_zone
  map_public_ip_on_launch = false # each machine has an address of its own, see modules/instances

  tags = { Name = "${var.name}-machines" }
}

resource "aws_route_table" "machines" {
  vpc_id = var.vpc_id

  tags = { Name = "${var.name}-machines" }
}

resource "aws_route" "machines" {
  route_table_id         = aws_route_table.machines.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = var.public ? var.internet_gateway_id : null
  nat_gateway_id         = var.public ? null : aws_nat_gateway.edge[0].id
}

resource "aws_route_table_association" "machines" {
  subnet_id      = aws_subnet.machines.id
  route_table_id = aws_route_table.machines.id

  depends_on = [aws_route.machines, aws_route.edge]
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.machines.id]

  tags = { Name = "${var.name}-s3" }
}

resource "aws_subnet" "edge" {
  count = var.public ? 0 : 1

  vpc_id                  = var.vpc_id
  cidr_block              = var.edge_subnet_cidr
  availability_zone       = aws_subnet.machines.availability_zone # another zone would be paid for
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-edge" }
}

resource "aws_route_table" "edge" {
  count = var.public ? 0 : 1

  vpc_id = var.vpc_id

  tags = { Name = "${var.name}-edge" }
}

resource "aws_route" "edge" {
  count = var.public ? 0 : 1

  route_table_id         = aws_route_table.edge[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = var.internet_gateway_id
}

resource "aws_route_table_association" "edge" {
  count = var.public ? 0 : 1

  subnet_id      = aws_subnet.edge[0].id
  route_table_id = aws_route_table.edge[0].id
}

resource "aws_eip" "nat" {
  count = var.public ? 0 : 1

  domain = "vpc"

  tags = { Name = "${var.name}-nat" }
}

resource "aws_nat_gateway" "edge" {
  count = var.public ? 0 : 1

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.edge[0].id

  tags = { Name = var.name }

  depends_on = [aws_route.edge, aws_route_table_association.edge]
}
