# CA1 as Infracost sees it: `infracost breakdown --path . --usage-file infracost-usage.yml` (it asks a
# price list on the Internet). `make cost` prices the same stack without one, see deploy/cost.
module "ca1" {
  source = "./CA1/terraform"

  aws_region   = "us-east-1"
  my_ip_cidr   = "203.0.113.7/32"
  ssh_key_name = "my-key"
  gtap_image   = "registry.example/gtap:0.1.0"
}
