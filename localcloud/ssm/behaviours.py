"""What is emulated of Run Command, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import Behaviour, absent, partial

GUIDE = "https://docs.aws.amazon.com/systems-manager/latest/userguide"
RUN = f"[user guide]({GUIDE}/run-command.html)"
STATES = f"[user guide]({GUIDE}/monitor-commands.html)"
PARAMETERS = f"[user guide]({GUIDE}/parameter-store-public-parameters.html)"

BEHAVIOURS = (
    partial("AWS-RunShellScript runs on the instance", RUN,
            "test_a_command_returns_its_output_apart_and_its_true_exit_code",
            "As root in the container, without an agent; no other document is known."),
    Behaviour("States of a command and an invocation", STATES, "test_a_command_is_in_progress_while_it_runs"),
    Behaviour("executionTimeout", STATES, "test_a_command_past_its_execution_timeout_is_timed_out"),
    Behaviour("Output is cut at 24,000 characters, errors at 8,000", RUN, "test_long_output_is_cut_where_aws_cuts_it"),
    Behaviour("Targets by tag", RUN, "test_targets_choose_instances_by_tag"),
    Behaviour("Running instances are Online", STATES, "test_running_instances_are_online_and_others_take_no_commands",
              note="All of them, with or without an agent and a profile."),
    Behaviour("Debian's public parameter names the seed image", PARAMETERS,
              "test_the_seed_image_is_published_as_debians_own"),
    Behaviour("CancelCommand kills what still runs", STATES, "test_a_command_that_is_cancelled_ends_at_once"),
    absent("Output copied to S3", RUN, "Ignored."),
    absent("Session Manager", RUN, "There is none."),
)  # fmt: skip

ACTIONS = {
    "SendCommand": "runs in the container",
    "CancelCommand": "kills the script",
    "ListCommands": "true states, pages",
    "GetCommandInvocation": "true output and exit code",
    "ListCommandInvocations": "new",
    "DescribeInstanceInformation": "new",
    "PutParameter": "checks images later, names, sizes, patterns and types at once",
    "DeleteParameter": "not of public parameters",
    "DeleteParameters": "not of public parameters",
    "DescribeParameters": "pages",
    "GetParametersByPath": "paths begin with a slash; not public parameters below /",
    "AddTagsToResource": "50 tags",
}
