"""What is emulated of Auto Scaling groups, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import Behaviour, absent, api, guide, partial

HEALTH = guide("ec2-auto-scaling-health-checks")
ALB = guide("attach-load-balancer-asg")

BEHAVIOURS = (
    Behaviour("The desired capacity is kept: instances that die are replaced", HEALTH,
              "test_terminated_instance_is_replaced"),
    Behaviour("ELB health checks replace unhealthy targets after the grace period", HEALTH,
              "test_unhealthy_target_is_replaced_after_the_grace_period"),
    Behaviour("EC2 health checks ignore the targets' health", HEALTH,
              "test_unhealthy_target_is_kept_with_ec2_health_checks"),
    Behaviour("Instances are deregistered and drained before they are terminated", ALB,
              "test_instance_drains_before_it_is_terminated"),
    Behaviour("SetInstanceHealth, with ShouldRespectGracePeriod", api("SetInstanceHealth"),
              "test_instance_set_unhealthy_is_replaced"),
    Behaviour("Suspended processes", guide("as-suspend-resume-processes"),
              "test_suspended_processes_do_nothing", note="AZRebalance and ScheduledActions do nothing."),
    Behaviour("ForceDelete: described as 'Delete in progress' until the instances are gone",
              api("DeleteAutoScalingGroup"), "test_force_delete_describes_the_group_until_its_instances_are_gone"),
    Behaviour("Failed launches are reported in the scaling activities and retried", guide("CHAP_Troubleshooting"),
              "test_failed_launch_is_reported_and_retried_with_pauses", note="The pauses (5 to 60 s) are ours."),
    partial("Which instance leaves when scaling in", guide("ec2-auto-scaling-termination-policies"),
            "test_scale_in_spares_protected_instances", "Oldest launch template version first; no other policy."),
    Behaviour("Launch template tags, propagated tags, and the group's own", guide("ec2-auto-scaling-tagging"),
              "test_instances_carry_template_tags_and_the_group_tag"),
    Behaviour("Instances on standby get no traffic", guide("as-enter-exit-standby"),
              "test_standby_instances_get_no_traffic"),
    Behaviour("Instances are spread over the subnets", guide("auto-scaling-benefits"),
              "test_instances_spread_over_the_subnets"),
    absent("Scaling policies change the capacity", guide("as-scale-based-on-demand"),
           "They are recorded; only ExecutePolicy follows one."),
    absent("Lifecycle hooks", guide("lifecycle-hooks"), "Recorded and ignored."),
    absent("Scheduled actions", guide("ec2-auto-scaling-scheduled-scaling"), "Recorded and ignored."),
    absent("Mixed instances, Spot", guide("ec2-auto-scaling-mixed-instances-groups"),
           "moto's records; overrides are ignored."),
)  # fmt: skip

ACTIONS = {
    "StartInstanceRefresh": "new",
    "DescribeInstanceRefreshes": "new",
    "CancelInstanceRefresh": "new",
    "RollbackInstanceRefresh": "new",
    "DescribeScalingActivities": "what the group launched and terminated, and why; moto has none",
    "CreateAutoScalingGroup": "instances follow in the background; default warm-up and maintenance policy are kept",
    "UpdateAutoScalingGroup": "as for CreateAutoScalingGroup; refused for the template while a refresh forbids it",
    "DeleteAutoScalingGroup": "instances go first, and with ForceDelete only; ends a refresh",
    "SetDesiredCapacity": "checked against the group's sizes; instances follow in the background",
    "TerminateInstanceInAutoScalingGroup": "drains first",
    "SetInstanceHealth": "an unhealthy instance is replaced",
    "AttachInstances": "raises the desired capacity",
    "DetachInstances": "deregisters, and lets the instance live",
    "EnterStandby": "the instance gets no traffic",
    "ExitStandby": "the instance gets traffic again",
    "AttachLoadBalancerTargetGroups": "instances are registered in the background",
    "DetachLoadBalancerTargetGroups": "instances are drained in the background",
    "DescribeAutoScalingGroups": "lifecycle states and health are true ones",
    "DescribeAutoScalingInstances": "as DescribeAutoScalingGroups",
}
