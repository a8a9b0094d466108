"""Checks a FOCUS 1.4 Cost and Usage dataset in CSV by the published rules: which columns there must
be, what may be null, types, allowed values, how columns depend on each other, and the split of
charges. It shares no code with gtap, and knows nothing of it.

    focus.py FILE...    prints what is wrong; exit status 1 if anything is
"""

import collections
import csv
import datetime
import decimal
import io
import json
import re
import sys

TEXT, DECIMAL, TIME, JSON = "string", "decimal", "datetime", "json"
MANDATORY = {  # name: (type, may be null)
    "BilledCost": (DECIMAL, False), "BillingAccountId": (TEXT, False),
    "BillingAccountName": (TEXT, True), "BillingCurrency": (TEXT, False),
    "BillingPeriodEnd": (TIME, False), "BillingPeriodStart": (TIME, False),
    "ChargeCategory": (TEXT, False), "ChargeClass": (TEXT, True),
    "ChargeDescription": (TEXT, True), "ChargePeriodEnd": (TIME, False),
    "ChargePeriodStart": (TIME, False), "ContractedCost": (DECIMAL, False),
    "EffectiveCost": (DECIMAL, False), "HostProviderName": (TEXT, False),
    "InvoiceIssuerName": (TEXT, False), "ListCost": (DECIMAL, False),
    "PricingQuantity": (DECIMAL, True), "PricingUnit": (TEXT, True),
    "ServiceCategory": (TEXT, False), "ServiceName": (TEXT, False),
    "ServiceProviderName": (TEXT, False),
}
OTHERS = {
    "AllocatedMethodDetails": JSON, "AllocatedMethodId": TEXT, "AllocatedResourceId": TEXT,
    "AllocatedResourceName": TEXT, "AllocatedTags": JSON, "AvailabilityZone": TEXT,
    "CapacityReservationId": TEXT, "CapacityReservationStatus": TEXT, "ChargeFrequency": TEXT,
    "ConsumedQuantity": DECIMAL, "ConsumedUnit": TEXT, "ContractedUnitPrice": DECIMAL,
    "InvoiceId": TEXT, "ListUnitPrice": DECIMAL, "PricingCategory": TEXT, "RegionId": TEXT,
    "RegionName": TEXT, "ResourceId": TEXT, "ResourceName": TEXT, "ResourceType": TEXT,
    "ServiceSubcategory": TEXT, "SkuId": TEXT, "SkuMeter": TEXT, "SkuPriceDetails": JSON,
    "SkuPriceId": TEXT, "SubAccountId": TEXT, "SubAccountName": TEXT, "SubAccountType": TEXT,
    "Tags": JSON,
}
TYPES = {**{name: kind for name, (kind, _) in MANDATORY.items()}, **OTHERS}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "CapacityReservationStatus": {"Used", "Unused"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"Generative AI"},
    "BillingCurrency": {"USD"},
}
# Where the first is null the second must be.
NULL_WITH = [("SkuPriceId", "SkuPriceDetails"), ("SkuPriceId", "PricingQuantity"),
             ("SkuPriceId", "ConsumedQuantity"), ("SkuId", "SkuMeter"), ("SkuId", "SkuPriceId"),
             ("ResourceId", "ResourceType"), ("SubAccountId", "SubAccountName"),
             ("CapacityReservationId", "CapacityReservationStatus"),
             ("AllocatedMethodId", "AllocatedMethodDetails"),
             ("AllocatedMethodId", "AllocatedResourceId"),
             ("AllocatedResourceId", "AllocatedTags"), ("RegionId", "RegionName")]
# Null together, or neither.
NULL_BOTH = [("PricingQuantity", "PricingUnit"), ("ConsumedQuantity", "ConsumedUnit"),
             ("SubAccountId", "SubAccountType"), ("ResourceId", "ResourceType"),
             ("CapacityReservationId", "CapacityReservationStatus"),
             ("AllocatedResourceId", "AllocatedResourceName")]
DETAILS = {"CoreCount", "DiskMaxIops", "DiskSpace", "DiskType", "GpuCount", "InstanceType",
           "InstanceSeries", "MemorySize", "NetworkMaxIops", "NetworkMaxThroughput",
           "OperatingSystem", "Redundancy", "StorageClass"}


def when(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        raise ValueError("no UTC datetime of ISO 8601")
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def number(text):
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text):
        raise ValueError("no number")
    return decimal.Decimal(text)


def parsed(text):
    found = json.loads(text, parse_float=decimal.Decimal)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


READ = {TEXT: str, DECIMAL: number, TIME: when, JSON: parsed}


class Dataset:
    """The rows of a file, read by their types; `wrong` says what is not as it must be."""

    def __init__(self, text):
        self.wrong = []
        if re.search(r"(?<!\r)\n", re.sub(r'"[^"]*"', "", text)):
            self.wrong.append("a line that does not end in CRLF")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        self.columns = reader.fieldnames or []
        self.check_columns()
        self.rows = [self.read(n, row) for n, row in enumerate(reader, 2)]
        if not self.wrong:
            self.check_rows()
            self.check_skus()
            self.check_splits()

    def fault(self, line, text):
        self.wrong.append(f"line {line}: {text}")

    def check_columns(self):
        self.wrong += [f"there is no {name}" for name in MANDATORY if name not in self.columns]
        self.wrong += [f"{name} is twice" for name, n in
                       collections.Counter(self.columns).items() if n > 1]
        for name in self.columns:
            if name not in TYPES and not re.fullmatch(r"x_[A-Z][A-Za-z0-9]*", name):
                self.wrong.append(f"{name} is neither of FOCUS nor begins with x_")

    def read(self, line, row):
        found = {}
        if None in row or None in row.values():
            self.fault(line, "has not as many fields as there are columns")
            return found
        for name, text in row.items():
            found[name] = None
            if text == "":
                if name in MANDATORY and not MANDATORY[name][1]:
                    self.fault(line, f"{name} is null")
                continue
            try:
                found[name] = READ[TYPES.get(name, TEXT)](text)
            except ValueError as e:
                self.fault(line, f"{name} '{text}': {e}")
            if name in ALLOWED and text not in ALLOWED[name]:
                self.fault(line, f"{name} may not be '{text}'")
        return found

    def check_rows(self):
        for line, row in enumerate(self.rows, 2):
            self.check_periods(line, row)
            self.check_nulls(line, row)
            for name in ("ListCost", "ContractedCost", "BilledCost"):
                if row["ChargeCategory"] == "Usage" and row[name] != row["EffectiveCost"]:
                    self.fault(line, f"{name} differs, though there is no discount")

    def check_periods(self, line, row):
        start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
        first, last = row["BillingPeriodStart"], row["BillingPeriodEnd"]
        if not start < end:
            self.fault(line, "the charge period ends before it begins")
        if not first < last:
            self.fault(line, "the billing period ends before it begins")
        if first.day != 1 or last.day != 1 or (last - first).days not in (28, 29, 30, 31):
            self.fault(line, "the billing period is no month")
        if row["ChargeClass"] is None and not first <= start < end <= last:
            self.fault(line, "the charge period is not within the billing period")
        if row["ChargeClass"] == "Correction" and not end <= first:
            self.fault(line, "a correction of a billing period that was not closed")

    def check_nulls(self, line, row):
        for one, other in NULL_WITH:
            if one in row and other in row and row[one] is None and row[other] is not None:
                self.fault(line, f"{other} without {one}")
        for one, other in NULL_BOTH:
            if one in row and other in row and (row[one] is None) != (row[other] is None):
                self.fault(line, f"one of {one} and {other} is null")
        if row["ChargeCategory"] == "Usage" and row["ChargeClass"] is None:
            for name in ("SkuId", "SkuPriceId", "PricingQuantity", "ConsumedQuantity"):
                if name in row and row[name] is None:
                    self.fault(line, f"{name} of usage is null")

    def check_skus(self):
        """A price has one SKU, one meter, one unit, and the same details in every row."""
        known = {}
        for line, row in enumerate(self.rows, 2):
            details = row.get("SkuPriceDetails") or {}
            one = (row.get("SkuId"), row.get("SkuMeter"), row["PricingUnit"],
                   json.dumps(details, sort_keys=True, default=str))
            if known.setdefault(row.get("SkuPriceId"), one) != one:
                self.fault(line, f"SkuPriceId {row['SkuPriceId']} was another before")
            for key in details:
                if key not in DETAILS and not key.startswith("x_"):
                    self.fault(line, f"SkuPriceDetails: {key} is not of FOCUS")

    def check_splits(self):
        """The ratios of an origin charge add up to 1, and each is its part's share of the cost."""
        origins = collections.defaultdict(list)
        for line, row in enumerate(self.rows, 2):
            details = row.get("AllocatedMethodDetails")
            if details is None:
                continue
            if not isinstance(details.get("Elements"), list) or not details["Elements"]:
                self.fault(line, "AllocatedMethodDetails has no Elements")
                continue
            ratio = sum(decimal.Decimal(e["AllocatedRatio"]) for e in details["Elements"])
            key = (row["ResourceId"], row["ChargePeriodStart"], row["ChargePeriodEnd"],
                   row["BillingPeriodStart"], row["ChargeClass"])
            origins[key].append((line, ratio, row["EffectiveCost"]))
        for parts in origins.values():
            self.check_origin(parts)

    def check_origin(self, parts):
        line = parts[0][0]
        with decimal.localcontext() as c:
            c.prec = 60
            total = sum(cost for _, _, cost in parts)
            if sum(ratio for _, ratio, _ in parts) != 1:
                self.fault(line, "the ratios of its origin charge do not add up to 1")
            for at, ratio, cost in parts:
                if not 0 <= ratio <= 1:
                    self.fault(at, f"AllocatedRatio {ratio}")
                if total > 0 and abs(ratio * total - cost) > decimal.Decimal("1e-8"):
                    self.fault(at, f"AllocatedRatio {ratio} is not its share of the cost")

    def total(self, column="EffectiveCost", **where):
        return sum((row[column] for row in self.rows
                    if row[column] is not None and all(row[k] == v for k, v in where.items())),
                   decimal.Decimal(0))


def main():
    status = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", newline="") as f:
            for fault in Dataset(f.read()).wrong:
                print(f"{path}: {fault}")
                status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
