variable "name" {
  description = "Prefix of every name"
  type        = string
}

variable "region" {
  description = "Region of secrets and bucket, for the machines to ask"
  type        = string
}

variable "subnet_id" {
  description = "Subnet of the machines, routed"
  type        = string
}

variable "subnet_cidr" {
  description = "Its addresses; the machines have the 101st to the 104th"
  type        = string
}

variable "public" {
  description = "Whether each machine has a public address"
  type        = bool
}

variable "security_group_ids" {
  description = "Security group of each machine, with its rules"
  type        = map(string)
}

variable "admin_cidr" {
  description = "Where people come from, for the packet filter on each machine: a tag, which it reads"
  type        = string
}

variable "ssh_key_name" {
  description = "Key pair that may log in; null for Session Manager alone"
  type        = string
}

variable "ami_id" {
  description = "Image of the machines; null for Ubuntu 24.04"
  type        = string
}

variable "instance_types" {
  description = "Of each machine"
  type        = map(string)
}

variable "disk_gb" {
  description = "Of each machine"
  type        = map(number)
}

variable "images" {
  description = "Container images: kafka, mongo, gtap"
  type        = object({ kafka = string, mongo = string, gtap = string })
}

variable "gtap_archive" {
  description = "File with gtap's image (docker save), shipped through the bucket; null where a registry has it"
  type        = string
}

variable "db_name" {
  description = "Database of records and costs"
  type        = string
}

variable "price_per_hour_usd" {
  description = "Of a GPU whose samples name no price"
  type        = string
}

variable "gpu_metrics_source" {
  description = "Where the producers take GPU samples from: nvml, nvidia-smi or seed"
  type        = string
}

variable "secret_arns" {
  description = "Secrets: kafka_processor, kafka_producers, mongo_root, mongo_gtap"
  type        = map(string)
}

variable "producer_rate" {
  description = "Requests a second that the producers make up; empty: they measure the machine's GPUs"
  type        = string
}
