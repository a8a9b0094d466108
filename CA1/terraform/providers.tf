# The provider is pinned to one version, and no other is needed: passwords are made by AWS itself.
# 1.11 is the first Terraform with write-only arguments, which keep them out of the state.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region  = var.aws_region
  profile = var.aws_profile

  default_tags {
    tags = {
      Project   = var.project_name
      Stage     = "CA1"
      ManagedBy = "Terraform"
    }
  }
}
