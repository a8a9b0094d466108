# With their values: a machine that boots must find its passwords.
output "arns" {
  description = "Of each secret"
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }

  depends_on = [aws_secretsmanager_secret_version.this]
}
