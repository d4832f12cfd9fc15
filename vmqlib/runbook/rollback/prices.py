"""What S3 asks for requests and storage: a price list to estimate with, not a bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PRICES", "ClassPrice", "PriceList"]


@dataclass(frozen=True)
class ClassPrice:
    """Prices of one storage class, in USD.

    Parameters
    ----------
    write:
        PUT, COPY, POST: for 1,000 requests.
    read:
        GET, HEAD: for 1,000 requests.
    retrieval:
        For reading one GB back, which a copy does.
    month:
        For keeping one GB for a month (first tier).
    """

    write: float
    read: float
    retrieval: float
    month: float


@dataclass(frozen=True)
class PriceList:
    """Prices with where they come from.

    Parameters
    ----------
    source:
        Whose list, for which region, of when.
    listing:
        LIST: for 1,000 requests, USD.
    classes:
        By storage class. One that is not in it is taken for STANDARD.
    """

    source: str
    listing: float
    classes: Mapping[str, ClassPrice]

    def of(self, storage_class: str) -> ClassPrice:
        """The prices of a storage class."""
        return self.classes.get(storage_class) or self.classes["STANDARD"]


PRICES = PriceList(
    source="S3 list prices for Europe (Ireland) as of 2025; see https://aws.amazon.com/s3/pricing/",
    listing=0.005,
    classes={
        "STANDARD": ClassPrice(0.005, 0.0004, 0, 0.023),
        "REDUCED_REDUNDANCY": ClassPrice(0.005, 0.0004, 0, 0.024),
        "INTELLIGENT_TIERING": ClassPrice(0.005, 0.0004, 0, 0.023),
        "STANDARD_IA": ClassPrice(0.01, 0.001, 0.01, 0.0125),
        "ONEZONE_IA": ClassPrice(0.01, 0.001, 0.01, 0.01),
        "GLACIER_IR": ClassPrice(0.02, 0.01, 0.03, 0.004),
        "GLACIER": ClassPrice(0.03, 0.0004, 0.01, 0.0036),
        "DEEP_ARCHIVE": ClassPrice(0.05, 0.0004, 0.02, 0.00099),
    },
)
"""DELETE costs nothing. Encryption with KMS adds its own requests, which are not in here."""
