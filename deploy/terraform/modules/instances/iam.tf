# What a machine may do in AWS: read its own secrets, read gtap's image where it runs it, be reached
# by Session Manager. Nothing else.

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "machine" {
  for_each = local.machines

  statement {
    sid       = "OwnSecrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = distinct([for one in local.secret_files[each.key] : var.secret_arns[one.secret]])
  }

  dynamic "statement" {
    for_each = each.value.runs_gtap ? aws_s3_object.image : []

    content {
      sid       = "GtapImage"
      actions   = ["s3:GetObject"]
      resources = ["${aws_s3_bucket.artifacts.arn}/${statement.value.key}"]
    }
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.machines

  name               = "${var.name}-${replace(each.key, "_", "-")}"
  description        = "gtap: ${replace(each.key, "_", " ")}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machines

  name   = "own-secrets-and-image"
  role   = aws_iam_role.machine[each.key].id
  policy = data.aws_iam_policy_document.machine[each.key].json
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  for_each = local.machines

  role       = aws_iam_role.machine[each.key].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "machine" {
  for_each = local.machines

  name = aws_iam_role.machine[each.key].name
  role = aws_iam_role.machine[each.key].name

  # A machine that boots must find its rights there.
  depends_on = [aws_iam_role_policy.machine, aws_iam_role_policy_attachment.session_manager]
}

data "aws_partition" "current" {}
