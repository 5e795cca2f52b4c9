"""What is emulated of CloudWatch, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import absent

GUIDE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
ALARMS = f"[user guide]({GUIDE}/AlarmThatSendsEmail.html)"

BEHAVIOURS = (
    absent("Alarms are evaluated", ALARMS, "States change by SetAlarmState only, and stay until the next."),
    absent("Actions of alarms", ALARMS, "Recorded, never executed."),
    absent("Requests in CBOR are held against the API's model",
           "[Smithy RPC v2 CBOR](https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html)",
           "What breaks the model is refused in other protocols only; boto3 sends JSON, SDKs of other languages CBOR."),
    absent("Metrics of AWS's own services", f"[user guide]({GUIDE}/aws-services-cloudwatch-metrics.html)",
           "There are none, but for a few of S3's."),
)  # fmt: skip

ACTIONS = {
    "PutMetricAlarm": "a new alarm is INSUFFICIENT_DATA, an existing one keeps its state; limits",
    "PutCompositeAlarm": "new; the rule is recorded",
    "DescribeAlarms": "filters narrow together, metric alarms by default, pages",
    "PutMetricData": "limits, and data by the minute",
    "GetMetricStatistics": "limits",
    "ListMetrics": "each metric once",
}
