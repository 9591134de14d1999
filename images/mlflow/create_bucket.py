"""Create the bucket of MLflow's artifacts if there is none. One line says what is wrong, if something is."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "mlflow-artifacts"


def main() -> None:
    """Read the address and the keys from the environment, as boto3 does."""
    endpoint = os.environ["MLFLOW_S3_ENDPOINT_URL"]
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 5}),
    )
    try:
        existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        if BUCKET not in existing:
            client.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        sys.exit(
            f"S3 at {endpoint} refuses the bucket {BUCKET} ({code}): "
            "are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY those it was started with?"
        )
    except BotoCoreError as error:
        sys.exit(f"S3 at {endpoint} can't be used: {error}")
    print(f"The bucket {BUCKET} is there.")


if __name__ == "__main__":
    main()
