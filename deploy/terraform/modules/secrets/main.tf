# Passwords are made while Terraform runs and handed to Secrets Manager, and are nowhere else: an
# ephemeral value is in no plan and no state, a write-only argument is never read back. Letters and
# digits alone (32 of them: 190 bits), so that they need no quoting in an URI or a properties file.

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = var.secrets

  password_length     = 32
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  for_each = var.secrets

  name                    = "${var.name}/${replace(each.key, "_", "-")}"
  description             = each.value.purpose
  recovery_window_in_days = 0 # `make down` and `make deploy` again must find the name free
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = var.secrets

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.this[each.key].random_password
  secret_string_wo_version = each.value.version
}
