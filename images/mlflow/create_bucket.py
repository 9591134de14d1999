"""Create the bucket of MLflow's artifacts unless it exists. Exits with a message of one line on failure."""

import os
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "mlflow-artifacts"
TIMEOUT = 60  # seconds; `docker compose restart` starts this program and the S3 server together


def main() -> None:
    """Create the bucket with the address and the keys from the environment, and retry until the S3 server answers."""
    endpoint = os.environ["MLFLOW_S3_ENDPOINT_URL"]
    once = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, config=once)
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            create(client)
            break
        except (BotoCoreError, ClientError) as error:
            if is_refused(error):
                sys.exit(
                    f"S3 at {endpoint} refuses the bucket {BUCKET}: {error} "
                    "Are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY those it was started with?"
                )
            if time.monotonic() > deadline:
                sys.exit(f"S3 at {endpoint} can't be used: {error}")
            time.sleep(1)
    print(f"The bucket {BUCKET} is there.")


def is_refused(error: Exception) -> bool:
    """Return whether the server refused the request; a server that is starting answers 503, which isn't a refusal."""
    return isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] < 500


def create(client: Any) -> None:
    """Create the bucket unless it exists. Raises botocore's errors."""
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)


if __name__ == "__main__":
    main()
