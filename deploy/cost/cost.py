#!/usr/bin/env python3
"""What a stack costs a month, by a dated table of prices: `make cost`.

    cost.py [--plan FILE] [--usage FILE] [--prices FILE] [--shape]

FILE of --plan is what `terraform show -json` says of a plan or of what runs; without one CA1 as
terraform.tfvars.example has it (plan-ca1.json, which a test holds against a plan). --usage is
Infracost's usage file. --shape prints, in place of a cost, what of a plan matters to one (make it anew when the stack changes).

Amounts are exact decimals. What has no price is said, never counted as 0; then the status is 1.
"""

import argparse
import csv
import json
import os
import sys
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOURS = Decimal(730)  # of a month, as AWS's calculator counts them

# What costs nothing by itself.
FREE = {
    "aws_default_security_group", "aws_flow_log", "aws_iam_instance_profile", "aws_iam_role",
    "aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_internet_gateway",
    "aws_network_interface", "aws_route", "aws_route_table", "aws_route_table_association",
    "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning",
    "aws_s3_object", "aws_secretsmanager_secret_version", "aws_security_group", "aws_subnet",
    "aws_vpc", "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule",
    "terraform_data",
}
# What of a resource decides its price.
DECIDES = ("instance_type", "root_block_device", "vpc_endpoint_type")


class Line:
    """One thing that is paid for: how much of what; None where nobody said how much."""

    def __init__(self, what, item, quantity, per=1):
        self.what, self.item, self.per = what, item, Decimal(per)
        self.quantity = None if quantity is None else Decimal(str(quantity))


def instance(values, usage):
    yield Line("running", f"ec2:{values['instance_type']}", usage.get("monthly_hrs", HOURS))
    for disk in values["root_block_device"]:
        yield Line("disk", f"ebs:{disk['volume_type']}", disk["volume_size"])


def nat(_, usage):
    yield Line("running", "nat", HOURS)
    yield Line("traffic", "nat:processed", usage.get("monthly_data_processed_gb"))


def secret(_, usage):
    yield Line("kept", "secret", 1)
    yield Line("requests", "secret:requests", usage.get("monthly_requests"), 10000)


def bucket(_, usage):
    standard = usage.get("standard", {})
    yield Line("kept", "s3:standard", standard.get("storage_gb"))
    yield Line("put, list", "s3:put", standard.get("monthly_tier_1_requests"), 1000)
    yield Line("get", "s3:get", standard.get("monthly_tier_2_requests"), 1000)


def logs(_, usage):
    yield Line("taken in", "logs:ingested", usage.get("monthly_data_ingested_gb"))
    yield Line("kept", "logs:stored", usage.get("storage_gb"))


def address(_, __):
    yield Line("address", "ipv4", HOURS)


def transfer(_, usage):
    yield Line("to the Internet", "transfer:out", usage.get("monthly_outbound_internet_gb"))


def endpoint(values, _):
    """A gateway is free; an interface is not."""
    if values.get("vpc_endpoint_type") != "Gateway":
        yield Line("running", "endpoint:interface", HOURS)


PAID = {"aws_instance": instance, "aws_eip": address, "aws_nat_gateway": nat,
        "aws_secretsmanager_secret": secret, "aws_s3_bucket": bucket,
        "aws_cloudwatch_log_group": logs, "aws_data_transfer": transfer,
        "aws_vpc_endpoint": endpoint}


def resources(module):
    """(address, type, values) of all that a module and those in it manage."""
    for one in module.get("resources", []):
        if one.get("mode", "managed") == "managed":
            yield one["address"], one["type"], one.get("values", {})
    for child in module.get("child_modules", []):
        yield from resources(child)


def root_module(shown):
    for key in ("planned_values", "values"):
        if key in shown:
            return shown[key]["root_module"]
    raise ValueError("neither a plan nor a state: make it with `terraform show -json`")


def shape(shown):
    """A plan without what does not matter to its cost, in the same form."""
    kept = [{"address": address_of, "type": kind, "values": {
        name: trimmed(values[name]) for name in DECIDES if values.get(name)}}
        for address_of, kind, values in resources(root_module(shown)) if kind not in FREE]
    return {"planned_values": {"root_module": {
        "resources": sorted(kept, key=lambda one: one["address"])}}}


def trimmed(value):
    if isinstance(value, list):
        return [{name: disk[name] for name in ("volume_type", "volume_size")} for disk in value]
    return value


def read_prices(path):
    with open(path, encoding="utf-8", newline="") as file:
        return {row["item"]: row for row in csv.DictReader(file)}


def read_usage(path):
    import yaml  # Debian's python3-yaml
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file) or {}


def priced(shown, usage, prices):
    """Rows (address, line, price, amount); price is None where the table has none, amount where
    either is not known; and the resources of kinds that nobody knows a price of."""
    by_type = usage.get("resource_type_default_usage") or {}
    by_address = usage.get("resource_usage") or {}
    rows, unknown = [], []
    extra = [(name, name.split(".")[0], {}) for name in by_address
             if name.startswith("aws_data_transfer.")]
    for name, kind, values in sorted([*resources(root_module(shown)), *extra],
                                     key=lambda one: one[0]):
        if kind in FREE:
            continue
        if kind not in PAID:
            unknown.append(name)
            continue
        used = {**(by_type.get(kind) or {}), **(by_address.get(name) or {})}
        for line in PAID[kind](values, used):
            price = prices.get(line.item)
            known = price is not None and line.quantity is not None
            amount = line.quantity / line.per * Decimal(price["usd"]) if known else None
            rows.append((name, line, price, amount))
    return rows, unknown


def exact(amount):
    """Every digit of it, two behind the point at least."""
    text = format(amount.normalize(), "f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2}"


def show(rows, unknown, out):
    """The table; whether all of it could be priced."""
    cells = [("resource", "what", "quantity", "unit", "price", "USD a month")]
    for name, line, price, amount in rows:
        quantity = "not said" if line.quantity is None else format(line.quantity, "f")
        cells.append((name, line.what, quantity, price["unit"] if price else "",
                      price["usd"] if price else "not priced",
                      exact(amount) if amount is not None else "?"))
    widths = [max(len(row[i]) for row in cells) for i in range(6)]
    for row in cells:
        print("  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]),
                         row[3].ljust(widths[3]), row[4].rjust(widths[4]),
                         row[5].rjust(widths[5])]).rstrip(), file=out)
    total = sum((amount for *_, amount in rows if amount is not None), Decimal(0))
    missing = [f"{name}: {line.what} ({line.item} is not in the table of prices)"
               for name, line, price, _ in rows if price is None]
    missing += [f"{name}: {line.what} (paid by use; the usage file does not say how much)"
                for name, line, price, _ in rows if price is not None and line.quantity is None]
    missing += [f"{name}: nobody knows a price of this kind" for name in unknown]
    print(f"\ntotal {exact(total)} USD a month" + (", without:" if missing else ""), file=out)
    for what in missing:
        print(f"  {what}", file=out)
    return not missing


def main():
    parser = argparse.ArgumentParser(description="What a stack costs a month.")
    parser.add_argument("--plan", default=os.path.join(HERE, "plan-ca1.json"))
    parser.add_argument("--usage", default=os.path.join(ROOT, "infracost-usage.yml"))
    parser.add_argument("--prices", default=os.path.join(HERE, "prices-us-east-1.csv"))
    parser.add_argument("--shape", action="store_true")
    args = parser.parse_args()
    with open(args.plan, encoding="utf-8") as file:
        shown = json.load(file)
    if args.shape:
        print(json.dumps(shape(shown), indent=1))
        return 0
    prices = read_prices(args.prices)
    dates = sorted({row["read_on"] for row in prices.values()})
    print(f"Prices: {os.path.basename(args.prices)}, on demand, without tax, free tier or discounts; "
          f"read on {' and '.join(dates)}. A month has {HOURS} hours.\n")
    return 0 if show(*priced(shown, read_usage(args.usage), prices), sys.stdout) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"cost.py: {type(error).__name__}: {error}")
