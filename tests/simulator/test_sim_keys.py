"""Keys of KMS in the simulator: a symmetric one has no key pair, and says so as AWS does."""

from __future__ import annotations

import pytest


def test_a_symmetric_key_encrypts_and_has_no_public_key(empty_aws, client_of):
    kms = client_of(empty_aws, "kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"held")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"held"
    with pytest.raises(kms.exceptions.UnsupportedOperationException, match="symmetric"):
        kms.get_public_key(KeyId=key)


def test_asymmetric_keys_are_their_own(empty_aws, client_of):
    kms = client_of(empty_aws, "kms")
    made = [kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"] for _ in "ab"]
    first, second = (kms.get_public_key(KeyId=key)["PublicKey"] for key in made)
    assert first != second
