output "bucket" {
  description = "Bucket of the states and release records: `bucket` of the environment's file."
  value       = aws_s3_bucket.pipeline.id
}

output "builder_instance_profile" {
  description = "Instance profile of builders and probes: `builder_instance_profile` of the environment's file."
  value       = aws_iam_instance_profile.builder.name
}

output "policy_arns" {
  description = "Policies for the Airflow workers' role, by purpose."
  value       = { for purpose, policy in aws_iam_policy.pipeline : purpose => policy.arn }
}
