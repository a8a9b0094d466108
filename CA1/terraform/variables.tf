# Each value is checked before anything is asked of AWS; `make plan` says what is wrong with one.

variable "project_name" {
  description = "Prefix of every name"
  type        = string
  default     = "ca1"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.project_name))
    error_message = "project_name is 2 to 20 lower-case letters, digits and dashes, from a letter to no dash: \"ca1\"."
  }
}

variable "aws_profile" {
  description = "Profile of AWS's configuration; null for AWS_PROFILE or what else the environment says"
  type        = string
  default     = null
}

variable "aws_region" {
  description = "Region; null for AWS_REGION or the profile's"
  type        = string
  default     = null

  validation {
    condition     = var.aws_region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region is a region's name, such as \"us-east-1\"."
  }
}

variable "availability_zone" {
  description = "Zone of the machines; null lets AWS choose"
  type        = string
  default     = null
}

variable "ssh_key_name" {
  description = "Key pair, there already, that may log in; null: no SSH at all, Session Manager alone"
  type        = string
  default     = null

  validation {
    condition     = var.ssh_key_name == null || try(trimspace(var.ssh_key_name) != "", true)
    error_message = "ssh_key_name is the name of a key pair; leave it out to use Session Manager alone."
  }
}

variable "my_ip_cidr" {
  description = "Where you come from, for SSH and the processor's API: your address and /32. `make` finds it out"
  type        = string

  validation {
    condition     = can(cidrnetmask(var.my_ip_cidr)) && try(tonumber(split("/", var.my_ip_cidr)[1]) >= 24, false)
    error_message = "my_ip_cidr is an IPv4 network no wider than /24, best your address alone: \"203.0.113.7/32\". The whole Internet (0.0.0.0/0) is refused."
  }
  validation {
    condition     = try(cidrhost(var.my_ip_cidr, 0) == split("/", var.my_ip_cidr)[0], true)
    error_message = "my_ip_cidr names a host inside its network: give the network's first address, or /32."
  }
}

variable "public_subnet" {
  description = "Whether the machines have public addresses; false: a NAT gateway takes them out, Session Manager takes you in"
  type        = bool
  default     = true
}

variable "vpc_cidr" {
  description = "Addresses of the VPC"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 24 && cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    error_message = "vpc_cidr is an IPv4 network of /16 to /24 by its first address: \"10.0.0.0/16\"."
  }
}

variable "subnet_cidr" {
  description = "Addresses of the machines' subnet; they have its 101st to 104th"
  type        = string
  default     = "10.0.1.0/24"

  validation {
    condition     = can(cidrnetmask(var.subnet_cidr)) && try(tonumber(split("/", var.subnet_cidr)[1]) <= 25 && cidrhost(var.subnet_cidr, 0) == split("/", var.subnet_cidr)[0], false)
    error_message = "subnet_cidr is an IPv4 network of /25 or wider, with room for the addresses .101 to .104, by its first address: \"10.0.1.0/24\"."
  }
  validation {
    condition     = try(tonumber(split("/", var.subnet_cidr)[1]) >= tonumber(split("/", var.vpc_cidr)[1]) && cidrhost("${cidrhost(var.subnet_cidr, 0)}/${split("/", var.vpc_cidr)[1]}", 0) == cidrhost(var.vpc_cidr, 0), false)
    error_message = "subnet_cidr lies outside vpc_cidr."
  }
}

variable "edge_subnet_cidr" {
  description = "Addresses of the NAT gateway's subnet, made where public_subnet is false"
  type        = string
  default     = "10.0.0.0/28"

  validation {
    condition     = var.public_subnet || try(tonumber(split("/", var.edge_subnet_cidr)[1]) >= tonumber(split("/", var.vpc_cidr)[1]) && tonumber(split("/", var.edge_subnet_cidr)[1]) <= 28 && cidrhost("${cidrhost(var.edge_subnet_cidr, 0)}/${split("/", var.vpc_cidr)[1]}", 0) == cidrhost(var.vpc_cidr, 0), false)
    error_message = "edge_subnet_cidr is a network of /28 or wider inside vpc_cidr: \"10.0.0.0/28\"."
  }
  validation {
    condition = var.public_subnet || try(
      cidrhost("${cidrhost(var.edge_subnet_cidr, 0)}/${split("/", var.subnet_cidr)[1]}", 0) != cidrhost(var.subnet_cidr, 0) &&
    cidrhost("${cidrhost(var.subnet_cidr, 0)}/${split("/", var.edge_subnet_cidr)[1]}", 0) != cidrhost(var.edge_subnet_cidr, 0), false)
    error_message = "edge_subnet_cidr and subnet_cidr overlap."
  }
}

variable "ami_id" {
  description = "Image of the machines, of Ubuntu 24.04 or made from it; null for the newest of Canonical's"
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-([0-9a-f]{8}|[0-9a-f]{17})$", var.ami_id))
    error_message = "ami_id is an image's identifier: \"ami-\" and 8 or 17 hexadecimal digits."
  }
}

variable "instance_types" {
  description = "Of each machine (x86-64)"
  type = object({
    vm1_kafka     = optional(string, "t3.small")
    vm2_mongo     = optional(string, "t3.small")
    vm3_processor = optional(string, "t3.micro")
    vm4_producers = optional(string, "t3.micro")
  })
  default = {}

  validation {
    condition     = alltrue([for machine, type in var.instance_types : can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", type))])
    error_message = "instance_types has types such as \"t3.small\", by vm1_kafka, vm2_mongo, vm3_processor and vm4_producers."
  }
}

variable "disk_gb" {
  description = "Size of each machine's disk"
  type = object({
    vm1_kafka     = optional(number, 20)
    vm2_mongo     = optional(number, 30)
    vm3_processor = optional(number, 10)
    vm4_producers = optional(number, 10)
  })
  default = {}

  validation {
    condition     = alltrue([for machine, size in var.disk_gb : size >= 8 && size <= 16384 && floor(size) == size])
    error_message = "disk_gb has whole numbers of gigabytes from 8 (what Ubuntu's image needs) to 16384."
  }
}

variable "kafka_image" {
  description = "Container image of Kafka"
  type        = string
  default     = "apache/kafka:3.7.2"
}

variable "mongo_image" {
  description = "Container image of MongoDB"
  type        = string
  default     = "mongo:7.0"
}

variable "gtap_image" {
  description = "Container image of gtap: the name in gtap_image_archive, or a registry's reference without one"
  type        = string
  default     = "gtap:0.1.0"

  validation {
    condition     = alltrue([for image in [var.gtap_image, var.kafka_image, var.mongo_image] : can(regex("^[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", image))])
    error_message = "Images are named with a tag or a digest: \"gtap:0.1.0\"."
  }
  validation {
    condition     = alltrue([for image in [var.gtap_image, var.kafka_image, var.mongo_image] : !endswith(image, ":latest")])
    error_message = "An image tagged latest is another one tomorrow: name a version."
  }
}

variable "gtap_image_archive" {
  description = "File with gtap's image, as `make image` writes it; null to pull gtap_image from a registry"
  type        = string
  default     = null

  validation {
    condition     = var.gtap_image_archive == null || try(fileexists(var.gtap_image_archive), false)
    error_message = "gtap_image_archive names no file: run `make image ARCHIVE=build/gtap-image.tar` in the root of the repository first."
  }
  validation {
    condition     = var.gtap_image_archive != null || can(regex("/", var.gtap_image))
    error_message = "Without gtap_image_archive, gtap_image must name a registry: \"registry.example/gtap:0.1.0\"."
  }
}

variable "db_name" {
  description = "Database of records and costs"
  type        = string
  default     = "ca0"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,38}$", var.db_name)) && !contains(["admin", "local", "config"], var.db_name)
    error_message = "db_name is 1 to 38 letters, digits, _ and -, and none of MongoDB's own databases."
  }
}

variable "price_per_hour_usd" {
  description = "Price of a GPU whose samples name none, as decimal text: it is exact"
  type        = string
  default     = "0.85"

  validation {
    condition     = can(regex("^[0-9]{1,6}(\\.[0-9]{1,9})?$", var.price_per_hour_usd))
    error_message = "price_per_hour_usd is a decimal number of dollars: \"0.85\"."
  }
}

variable "gpu_metrics_source" {
  description = "Where the producers take GPU samples from, with producer_rate empty: nvml, nvidia-smi or seed"
  type        = string
  default     = "seed"

  validation {
    condition     = contains(["nvml", "nvidia-smi", "seed"], var.gpu_metrics_source)
    error_message = "gpu_metrics_source is nvml, nvidia-smi or seed."
  }
}

variable "producer_rate" {
  description = "Requests a second that the producers make up; empty: they measure the machine's GPUs"
  type        = string
  default     = "2"

  validation {
    condition     = can(regex("^([0-9]{1,6}(\\.[0-9]{1,3})?)?$", var.producer_rate))
    error_message = "producer_rate is a number of requests a second, or empty."
  }
}

variable "secrets_version" {
  description = "Raise it to have new passwords made (not that of MongoDB's root); then `make new-passwords` in CA1"
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_version >= 1 && floor(var.secrets_version) == var.secrets_version
    error_message = "secrets_version is a whole number from 1."
  }
}

variable "secret_arns" {
  description = "Secrets of your own, 32 letters and digits each, in place of generated ones: kafka_processor, kafka_producers, mongo_root, mongo_gtap"
  type        = map(string)
  default     = null

  validation {
    condition     = var.secret_arns == null || try(toset(keys(var.secret_arns)) == toset(["kafka_processor", "kafka_producers", "mongo_root", "mongo_gtap"]), true)
    error_message = "secret_arns names four secrets: kafka_processor, kafka_producers, mongo_root and mongo_gtap."
  }
  validation {
    condition     = alltrue([for arn in values(coalesce(var.secret_arns, {})) : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+$", arn))])
    error_message = "secret_arns has the ARN of a secret for each, and no pattern."
  }
}

variable "flow_logs" {
  description = "Keep a log of every connection, accepted or refused"
  type        = bool
  default     = false
}

variable "flow_log_days" {
  description = "Days that flow logs are kept"
  type        = number
  default     = 14

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_days)
    error_message = "flow_log_days is one of the numbers that CloudWatch takes: 1, 3, 5, 7, 14, 30, 60, 90, ..."
  }
}
