"""Where facts are known from: pages of AWS's documentation, as links, and the API's models."""

DOCS = "https://docs.aws.amazon.com"
EC2_ERRORS = f"[API, error codes]({DOCS}/AWSEC2/latest/APIReference/errors-overview.html)"
EC2_IDEMPOTENCY = f"[developer guide]({DOCS}/ec2/latest/devguide/ec2-api-idempotency.html)"
S3_ERRORS = f"[error codes]({DOCS}/AmazonS3/latest/API/ErrorResponses.html)"
COMMON_ERRORS = f"[common errors]({DOCS}/autoscaling/ec2/APIReference/CommonErrors.html)"
JSON_PROTOCOL = "[AWS JSON 1.1 protocol](https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html)"


def report(project: str, number: int) -> str:
    """Refer to an issue in which somebody shows AWS's answer."""
    return f"[{project}, #{number}](https://github.com/{project}/issues/{number})"


def ec2(name: str) -> str:
    """Refer to an action or type of EC2's API reference."""
    return f"[API, {name}]({DOCS}/AWSEC2/latest/APIReference/API_{name}.html)"


def ec2_guide(page: str) -> str:
    """Refer to a page of EC2's user guide."""
    return f"[user guide, {page}]({DOCS}/AWSEC2/latest/UserGuide/{page}.html)"


def autoscaling(name: str) -> str:
    """Refer to an action or type of Auto Scaling's API reference."""
    return f"[API, {name}]({DOCS}/autoscaling/ec2/APIReference/API_{name}.html)"


def autoscaling_guide(page: str) -> str:
    """Refer to a page of Auto Scaling's user guide."""
    return f"[user guide, {page}]({DOCS}/autoscaling/ec2/userguide/{page}.html)"


def elb(name: str) -> str:
    """Refer to an action or type of Elastic Load Balancing's API reference, version 2."""
    return f"[API, {name}]({DOCS}/elasticloadbalancing/latest/APIReference/API_{name}.html)"


def elb_guide(page: str) -> str:
    """Refer to a page of the guide to Application Load Balancers."""
    return f"[user guide, {page}]({DOCS}/elasticloadbalancing/latest/application/{page}.html)"


def ssm(name: str) -> str:
    """Refer to an action or type of Systems Manager's API reference."""
    return f"[API, {name}]({DOCS}/systems-manager/latest/APIReference/API_{name}.html)"


def ssm_guide(page: str) -> str:
    """Refer to a page of Systems Manager's user guide."""
    return f"[user guide, {page}]({DOCS}/systems-manager/latest/userguide/{page}.html)"


def s3(name: str) -> str:
    """Refer to an action or type of S3's API reference."""
    return f"[API, {name}]({DOCS}/AmazonS3/latest/API/API_{name}.html)"


def s3_guide(page: str) -> str:
    """Refer to a page of S3's user guide."""
    return f"[user guide, {page}]({DOCS}/AmazonS3/latest/userguide/{page}.html)"


def iam(name: str) -> str:
    """Refer to an action or type of IAM's API reference."""
    return f"[API, {name}]({DOCS}/IAM/latest/APIReference/API_{name}.html)"


def iam_guide(page: str) -> str:
    """Refer to a page of IAM's user guide."""
    return f"[user guide, {page}]({DOCS}/IAM/latest/UserGuide/{page}.html)"


def sts(name: str) -> str:
    """Refer to an action or type of STS's API reference."""
    return f"[API, {name}]({DOCS}/STS/latest/APIReference/API_{name}.html)"


def cloudwatch(name: str) -> str:
    """Refer to an action or type of CloudWatch's API reference."""
    return f"[API, {name}]({DOCS}/AmazonCloudWatch/latest/APIReference/API_{name}.html)"
