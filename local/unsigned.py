"""Name versions that no trusted key has signed."""

from contract.signatures import SIGNATURE, Kind, SignatureError, parse_trusted_keys, signing_command, verify_signature
from local.clients.mlflow import Mlflow


def unsigned_in_production(mlflow: Mlflow, model: str, trusted_keys: str) -> str | None:
    """Describe the version in Production if it isn't signed; None if it is, or if there is none.

    Raises:
        StackError: MLflow doesn't answer.
    """
    version = mlflow.production(model)
    if version is None:
        return None
    kind: Kind = "version" if SIGNATURE in version.tags else "candidate"
    tags = version.tags if kind == "version" else mlflow.logged_model_tags(version.logged_model)
    try:
        verify_signature(tags.get(SIGNATURE, ""), parse_trusted_keys(trusted_keys)).check(
            kind, model, version.logged_model
        )
    except SignatureError as error:
        why = str(error) if SIGNATURE in tags else "it has no signature"
        return (
            f"{model} version {version.number} is in Production, and no trusted key has signed it: {why}. Only a copy "
            f"that the service has from earlier is served. Look at it and sign it: "
            f"{signing_command(model, version.number)}."
        )
    return None


def without_signature(mlflow: Mlflow, model: str) -> str | None:
    """Name the versions from before there were signatures; None if all have one. Raises StackError as above."""
    numbers = [version.number for version in mlflow.versions(model) if SIGNATURE not in version.tags]
    if not numbers:
        return None
    return f"{model} versions without a signature: {', '.join(numbers)}. make models marks them."
