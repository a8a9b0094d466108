# Four machines: Kafka, MongoDB, the processor and the producers, locked down. What they have in
# common with the other stages is in deploy/terraform/modules; modules/ here are links to it.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

module "vpc" {
  source = "./modules/vpc"

  name          = var.project_name
  cidr          = var.vpc_cidr
  flow_logs     = var.flow_logs
  flow_log_days = var.flow_log_days
}

module "network" {
  source = "./modules/network"

  name                = var.project_name
  region              = data.aws_region.current.name
  vpc_id              = module.vpc.vpc_id
  internet_gateway_id = module.vpc.internet_gateway_id
  availability_zone   = var.availability_zone
  subnet_cidr         = var.subnet_cidr
  edge_subnet_cidr    = var.edge_subnet_cidr
  public              = var.public_subnet
}

module "security_groups" {
  source = "./modules/security_groups"

  name       = var.project_name
  vpc_id     = module.vpc.vpc_id
  vpc_cidr   = var.vpc_cidr
  admin_cidr = var.my_ip_cidr
  ssh        = var.ssh_key_name != null
}

module "secrets" {
  source = "./modules/secrets"

  name = var.project_name
  secrets = var.secret_arns != null ? {} : {
    kafka_processor = { purpose = "gtap: password of Kafka's user processor", version = var.secrets_version }
    kafka_producers = { purpose = "gtap: password of Kafka's user producers", version = var.secrets_version }
    mongo_gtap      = { purpose = "gtap: password of MongoDB's user gtap", version = var.secrets_version }
    # MongoDB knows root by the first one alone, and root is who tells it all others.
    mongo_root = { purpose = "gtap: password of MongoDB's user root", version = 1 }
  }
}

module "instances" {
  source = "./modules/instances"

  name               = var.project_name
  region             = data.aws_region.current.name
  subnet_id          = module.network.subnet_id
  subnet_cidr        = var.subnet_cidr
  public             = var.public_subnet
  security_group_ids = module.security_groups.ids
  admin_cidr         = var.my_ip_cidr
  ssh_key_name       = var.ssh_key_name
  ami_id             = var.ami_id
  instance_types     = var.instance_types
  disk_gb            = var.disk_gb
  images             = { kafka = var.kafka_image, mongo = var.mongo_image, gtap = var.gtap_image }
  gtap_archive       = var.gtap_image_archive
  db_name            = var.db_name
  price_per_hour_usd = var.price_per_hour_usd
  gpu_metrics_source = var.gpu_metrics_source
  producer_rate      = var.producer_rate
  secret_arns        = coalesce(var.secret_arns, module.secrets.arns)
}
