# What the variables let through and refuse, and what they change: `terraform test`. No AWS is asked:
# the provider is the real one (mocked ones know no ephemeral values, and check no argument), a plan of
# what does not exist yet asks nothing, and the data that would are answered here.

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = {
    account_id = "123456789012"
    arn        = "arn:aws:iam::123456789012:user/test"
  }
}

override_data {
  target = module.instances.data.aws_ami.ubuntu
  values = { id = "ami-00000000000000001" }
}

variables {
  my_ip_cidr   = "203.0.113.7/32"
  ssh_key_name = "operators"
  gtap_image   = "registry.example/gtap:0.1.0"

  # Making passwords would ask AWS.
  secret_arns = {
    kafka_processor = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a"
    kafka_producers = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:b"
    mongo_root      = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:c"
    mongo_gtap      = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:d"
  }
}

run "as_the_example_says" {
  command = plan

  assert {
    condition     = output.instance_private_ips == { vm1_kafka = "10.0.1.101", vm2_mongo = "10.0.1.102", vm3_processor = "10.0.1.103", vm4_producers = "10.0.1.104" }
    error_message = "The machines are not where make env says."
  }
  assert {
    condition     = length(module.network.nat) == 0 && length(module.instances.addresses) == 4
    error_message = "A public subnet has four public addresses and no NAT gateway."
  }
  assert {
    condition     = module.instances.ami_id == "ami-00000000000000001"
    error_message = "Ubuntu's image was not taken."
  }
  assert {
    condition     = length(module.vpc.flow_log) == 0
    error_message = "Flow logs are paid for, and were not asked for."
  }
  assert {
    condition     = length([for rule in module.security_groups.inward : rule if rule.port == 22 && rule.from == "203.0.113.7/32"]) == 4
    error_message = "SSH is let in to all four, from one address."
  }
  assert {
    condition     = length(module.security_groups.inward) == 8
    error_message = "Something else is let in."
  }
}

run "private_with_an_image_of_its_own_and_no_ssh" {
  command = plan

  variables {
    public_subnet = false
    ami_id        = "ami-0fedcba9876543210"
    ssh_key_name  = null
    flow_logs     = true
    vpc_cidr      = "172.20.0.0/20"
    subnet_cidr   = "172.20.4.0/25"

    edge_subnet_cidr = "172.20.0.0/28"
  }

  assert {
    condition     = length(module.network.nat) == 1 && length(module.instances.addresses) == 0
    error_message = "A private subnet has one NAT gateway and no public address."
  }
  assert {
    condition     = alltrue([for machine, address in output.instance_public_ips : address == ""])
    error_message = "There are no public addresses to tell."
  }
  assert {
    condition     = module.instances.ami_id == "ami-0fedcba9876543210"
    error_message = "The image that was asked for was not taken."
  }
  assert {
    condition     = !contains([for rule in module.security_groups.inward : rule.port], 22)
    error_message = "Without a key pair nobody can log in by SSH, and nothing lets it in."
  }
  assert {
    condition     = length(module.vpc.flow_log) == 1
    error_message = "Flow logs were asked for."
  }
  assert {
    condition     = output.instance_private_ips["vm4_producers"] == "172.20.4.104"
    error_message = "Addresses are counted from the subnet's first."
  }
}

# One of each kind; tests/deploy/test_terraform.py has the rest, against variables.tf alone.
run "refused" {
  command = plan

  variables {
    my_ip_cidr         = "0.0.0.0/0"
    subnet_cidr        = "10.1.1.0/24"
    gtap_image_archive = "no-such-file.tar"
  }

  expect_failures = [var.my_ip_cidr, var.subnet_cidr, var.gtap_image_archive]
}
