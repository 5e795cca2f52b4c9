output "launch_template_id" {
  description = "Launch template of the fleet."
  value       = aws_launch_template.fleet.id
}

output "launch_template_version" {
  description = "Number of the newest launch template version: the one with this apply's image."
  value       = tostring(aws_launch_template.fleet.latest_version)
}

output "auto_scaling_group_name" {
  description = "Auto Scaling group in which the pipeline starts the instance refresh."
  value       = aws_autoscaling_group.fleet.name
}

output "target_group_arn" {
  description = "Target group that reports the fleet's health."
  value       = aws_lb_target_group.fleet.arn
}

output "load_balancer_dns_name" {
  description = "Host name of the load balancer."
  value       = aws_lb.fleet.dns_name
}

output "url" {
  description = "Address of the service."
  value       = "http://${aws_lb.fleet.dns_name}${var.listener_port == 80 ? "" : ":${var.listener_port}"}/"
}
