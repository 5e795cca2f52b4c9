data "aws_partition" "current" {}

# IAM names are one namespace for all regions of an account.
resource "aws_iam_role" "instance" {
  name        = "${local.name}-${var.region}"
  description = "Instances of ${local.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

# Nobody logs into an instance: Run Command needs no key pair and no open port.
resource "aws_iam_role_policy_attachment" "systems_manager" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "instance" {
  name = aws_iam_role.instance.name
  role = aws_iam_role.instance.name
}
