# What each machine is told at its first boot: its template, filled with the files that it shares with
# CA0 and the other stages (deploy/host, deploy/compose). host and compose are links to those, because
# Terraform reads files relative to a module and tidies `..` away before it follows a link.

locals {
  # What every machine gets from deploy/host: folder there, folder on the machine, mode.
  host_folders = {
    "sbin"    = { to = "/opt/gtap/sbin", mode = "0755" }
    "bin"     = { to = "/opt/gtap/bin", mode = "0755" }
    "ufw"     = { to = "/opt/gtap/sbin", mode = "0755" }
    "systemd" = { to = "/etc/systemd/system", mode = "0644" }
    "ssh"     = { to = "/etc/ssh/sshd_config.d", mode = "0644" }
    "docker"  = { to = "/etc/docker", mode = "0644" }
    "nft"     = { to = "/etc/gtap", mode = "0644" }
  }

  host_files = flatten([for folder, about in local.host_folders : [
    for name in sort(fileset("${path.module}/host/${folder}", "*")) : {
      path    = "${about.to}/${name}"
      mode    = about.mode
      content = file("${path.module}/host/${folder}/${name}")
    }
  ]])

  # The compose project of each machine, and the folder that it mounts.
  projects = {
    vm1_kafka     = { service = "kafka", folder = ["kafka"] }
    vm2_mongo     = { service = "mongodb", folder = ["mongodb"] }
    vm3_processor = { service = "processor", folder = [] }
    vm4_producers = { service = "producers", folder = [] }
  }

  project_files = { for machine, project in local.projects : machine => concat(
    [{
      path    = "/opt/gtap/compose.yaml"
      mode    = "0644"
      content = file("${path.module}/compose/services/${project.service}.yaml")
    }],
    flatten([for folder in project.folder : [for name in sort(fileset("${path.module}/compose/${folder}", "*")) : {
      path    = "/opt/gtap/${folder}/${name}"
      mode    = endswith(name, ".sh") ? "0755" : "0644"
      content = file("${path.module}/compose/${folder}/${name}")
    }]]),
  ) }

  # Which secret becomes which file: the same files that deploy/compose/secrets.sh makes by hand.
  secret_files = {
    vm1_kafka = [
      { file = "kafka_processor_password", secret = "kafka_processor", as = "{secret}" },
      { file = "kafka_producers_password", secret = "kafka_producers", as = "{secret}" },
    ]
    vm2_mongo = [
      { file = "mongodb_root_password", secret = "mongo_root", as = "{secret}" },
      { file = "mongodb_gtap_password", secret = "mongo_gtap", as = "{secret}" },
    ]
    vm3_processor = [
      { file = "kafka_processor_password", secret = "kafka_processor", as = "{secret}" },
      { file = "mongodb_uri", secret = "mongo_gtap", as = "mongodb://gtap:{secret}@${local.private_ips["vm2_mongo"]}:27017/${var.db_name}?authSource=${var.db_name}" },
    ]
    vm4_producers = [
      { file = "kafka_producers_password", secret = "kafka_producers", as = "{secret}" },
    ]
  }

  settings = { for machine in keys(local.machines) : machine => concat(
    [{
      path = "/etc/gtap/machine.env"
      mode = "0644"
      content = join("\n", [
        "ROLE=${split("_", machine)[1]}",
        "KAFKA_IP=${local.private_ips["vm1_kafka"]}",
        "MONGO_IP=${local.private_ips["vm2_mongo"]}",
        "PROCESSOR_IP=${local.private_ips["vm3_processor"]}",
        "PRODUCERS_IP=${local.private_ips["vm4_producers"]}",
      ])
    }],
    [{
      path = "/etc/gtap/secrets.json"
      mode = "0644"
      content = jsonencode({
        region = var.region
        secrets = [for one in local.secret_files[machine] : {
          file = one.file, id = var.secret_arns[one.secret], as = one.as
        }]
      })
    }],
    [for object in aws_s3_object.image : {
      path = "/etc/gtap/image.json"
      mode = "0644"
      content = jsonencode({
        region = var.region, image = var.images.gtap
        bucket = object.bucket, key = object.key, sha256 = local.archive_sha256
      })
    } if local.machines[machine].runs_gtap],
  ) }

  user_data = { for machine, about in local.machines : machine => templatefile(
    "${path.module}/templates/${about.template}.cloudinit.tftpl",
    {
      private_ip         = local.private_ips[machine]
      kafka_bootstrap    = "${local.private_ips["vm1_kafka"]}:9092"
      images             = var.images
      gtap_pull          = var.gtap_archive == null ? "missing" : "never"
      db_name            = var.db_name
      price_per_hour_usd = var.price_per_hour_usd
      gpu_metrics_source = var.gpu_metrics_source
      producer_rate      = var.producer_rate
      files = trimsuffix(templatefile("${path.module}/templates/parts/files.tftpl", {
        files = concat(local.settings[machine], local.project_files[machine], local.host_files)
      }), "\n")
    },
  ) }
}
