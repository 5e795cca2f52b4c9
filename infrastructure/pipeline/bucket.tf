# Terraform's states lie below terraform/, the release records below releases/.
#
# Versioning, encryption and expiry are blocks of the bucket here, as provider 3.39 has them. Provider 4 and later
# warn that separate resources are newer; both forms work up to 6.x.
resource "aws_s3_bucket" "pipeline" {
  bucket = var.bucket

  versioning {
    enabled = true
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  # Each apply leaves an old state and an old lock behind. Release records are never deleted.
  lifecycle_rule {
    id      = "forget-old-states"
    enabled = true
    prefix  = "terraform/"

    noncurrent_version_expiration {
      days = 90
    }
  }
}

resource "aws_s3_bucket_public_access_block" "pipeline" {
  bucket                  = aws_s3_bucket.pipeline.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "pipeline" {
  bucket = aws_s3_bucket.pipeline.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "RefuseWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket, "${local.bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two simultaneous changes of a bucket's access.
  depends_on = [aws_s3_bucket_public_access_block.pipeline]
}
