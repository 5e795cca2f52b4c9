"""What is emulated of Auto Scaling groups, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import Behaviour, absent, api, guide, partial

from .pages import PAGES

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
    Behaviour("Without force, a group is deleted only when it is empty and nothing is under way",
              api("DeleteAutoScalingGroup"), "test_group_with_instances_is_deleted_only_by_force"),
    Behaviour("Failed launches are reported in the scaling activities and retried", guide("CHAP_Troubleshooting"),
              "test_failed_launch_is_reported_and_retried_with_pauses", note="The pauses (5 to 60 s) are ours."),
    partial("Which instance leaves when scaling in", guide("ec2-auto-scaling-termination-policies"),
            "test_scale_in_follows_the_termination_policy",
            "Of the zone with the most: the oldest launch template version, or OldestInstance, or NewestInstance."),
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
           "Recorded; all instances are of the first override's type, and on demand."),
    absent("Classic load balancers follow a group", guide("attach-load-balancer-asg"),
           "moto registers the instances that there are when one is attached."),
    absent("Warm pools", guide("ec2-auto-scaling-warm-pools"), "Recorded; no instance is prepared."),
    absent("Deletion protection, maximum instance lifetime, lifecycle policies, zones by id, traffic sources",
           api("CreateAutoScalingGroup"), "Refused at creation and update."),
)  # fmt: skip

_REFRESHES = ("StartInstanceRefresh", "DescribeInstanceRefreshes", "CancelInstanceRefresh", "RollbackInstanceRefresh")

ACTIONS = {
    **dict.fromkeys(PAGES, "pages"),
    **dict.fromkeys(_REFRESHES, "new"),
    "DescribeScalingActivities": "what the group launched and terminated, and why; moto has none",
    "CreateAutoScalingGroup": "what does not exist is refused; instances follow in the background; default warm-up, "
    "maintenance policy and hooks are kept",
    "UpdateAutoScalingGroup": "as for CreateAutoScalingGroup; refused for the template while a refresh forbids it",
    "DeleteAutoScalingGroup": "instances go first, and with ForceDelete only; ends a refresh; policies go too",
    "SetDesiredCapacity": "checked against the group's sizes, and with HonorCooldown against its cooldown; instances "
    "follow in the background",
    "TerminateInstanceInAutoScalingGroup": "drains first; held to MinSize",
    "SetInstanceHealth": "an unhealthy instance is replaced",
    "SetInstanceProtection": "instances of other groups are refused",
    "AttachInstances": "raises the desired capacity; only instances that run, in the group's zones and no group",
    "DetachInstances": "deregisters, and lets the instance live; held to MinSize",
    "EnterStandby": "the instance gets no traffic; held to MinSize",
    "ExitStandby": "the instance gets traffic again; held to MaxSize",
    "AttachLoadBalancers": "those that do not exist are refused",
    "AttachLoadBalancerTargetGroups": "instances are registered in the background; unknown ones are refused",
    "DetachLoadBalancerTargetGroups": "instances are drained in the background",
    "DescribeAutoScalingGroups": "lifecycle states and health are true ones; pages",
    "DescribeAutoScalingInstances": "as DescribeAutoScalingGroups",
    "CreateLaunchConfiguration": "none is replaced",
    "DeleteLaunchConfiguration": "refused while a group uses it, and of an unknown one",
    "CreateOrUpdateTags": "limits",
    "DeleteTags": "of groups that exist",
    "DescribeTags": "the filter propagate-at-launch works; pages",
    "SuspendProcesses": "unknown processes are refused",
    "ResumeProcesses": "unknown processes are refused",
    "PutLifecycleHook": "keeps role and target as given; moto invents them",
    "PutScalingPolicy": "what its type requires is checked; a name is a group's own",
    "DeletePolicy": "of one group, or by ARN",
    "ExecutePolicy": "steps, rounding and the group's sizes as at AWS",
    "PutScheduledUpdateGroupAction": "needs a size, and no start in the past; a name is a group's own",
    "DeleteScheduledAction": "of one group",
}
