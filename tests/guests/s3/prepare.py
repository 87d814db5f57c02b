"""Run by the guest's own Python: `prepare.py URL BUCKET`. A user who may use S3, its key, and a bucket.

Prints the key. These are the requests that the server takes without a signature; afterwards it checks every one.
"""

import json
import sys
from typing import Any

# It is in the guest's environment, where its clients get their types only as they run.
import boto3  # pyright: ignore[reportMissingImports]


def main(url: str, bucket: str) -> None:
    def client(name: str) -> Any:
        library: Any = boto3
        return library.client(
            name, endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
        )

    iam = client("iam")
    iam.create_user(UserName="yard")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="yard", PolicyName="s3", PolicyDocument=policy)
    client("s3").create_bucket(Bucket=bucket)
    key = iam.create_access_key(UserName="yard")["AccessKey"]
    print(json.dumps({"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
