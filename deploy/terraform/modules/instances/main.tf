# Four machines with addresses that never change: each has a network interface of its own, which
# outlives the machine, so that a replaced one is where the old one was.

locals {
  machines = {
    vm1_kafka     = { host = 101, template = "vm1-kafka", runs_gtap = false, keeps_data = true }
    vm2_mongo     = { host = 102, template = "vm2-mongo", runs_gtap = false, keeps_data = true }
    vm3_processor = { host = 103, template = "vm3-processor", runs_gtap = true, keeps_data = false }
    vm4_producers = { host = 104, template = "vm4-producers", runs_gtap = true, keeps_data = false }
  }

  private_ips = { for machine, about in local.machines : machine => cidrhost(var.subnet_cidr, about.host) }
  ami_id      = coalesce(var.ami_id, one(data.aws_ami.ubuntu[*].id))
}

data "aws_ami" "ubuntu" {
  count = var.ami_id == null ? 1 : 0

  most_recent = true
  owners      = ["099720109477"] # Canonical

  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_network_interface" "machine" {
  for_each = local.machines

  subnet_id       = var.subnet_id
  private_ips     = [local.private_ips[each.key]]
  security_groups = [var.security_group_ids[each.key]]
  description     = "gtap: ${replace(each.key, "_", " ")}"

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

# An interface of one's own gets no public address by itself. This one is there before the machine
# boots, and stays when the machine is replaced.
resource "aws_eip" "machine" {
  for_each = var.public ? local.machines : {}

  domain            = "vpc"
  network_interface = aws_network_interface.machine[each.key].id

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

# What a machine is replaced for. Kafka's log and MongoDB's files are on the two that keep data: those are
# replaced only when asked for by name (`terraform apply -replace`), never because Ubuntu published an
# image or a template changed. The others keep nothing that is not in Kafka or MongoDB: a changed
# template or image of gtap replaces them.
resource "terraform_data" "replaced_for" {
  for_each = local.machines

  input = each.value.keeps_data ? "its name" : sha256(local.user_data[each.key])
}

resource "aws_instance" "machine" {
  for_each = local.machines

  ami                  = local.ami_id
  instance_type        = var.instance_types[each.key]
  key_name             = var.ssh_key_name
  iam_instance_profile = aws_iam_instance_profile.machine[each.key].name
  user_data_base64     = base64gzip(local.user_data[each.key])

  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.machine[each.key].id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = var.disk_gb[each.key]
    encrypted             = true
    delete_on_termination = true
  }

  # AdminCidr is read by the machine itself (deploy/host/sbin/gtap-admin): a tag changes while it runs.
  tags = {
    Name      = "${var.name}-${replace(each.key, "_", "-")}"
    AdminCidr = var.admin_cidr
  }
  volume_tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }

  lifecycle {
    ignore_changes       = [ami, user_data_base64]
    replace_triggered_by = [terraform_data.replaced_for[each.key]]

    precondition {
      condition     = length(base64gzip(local.user_data[each.key])) * 3 / 4 <= 16384
      error_message = "The user data of ${each.key} is longer than the 16 KB that EC2 takes, even packed."
    }
  }

  depends_on = [aws_eip.machine]
}
