"""`make cost`: exact amounts out of a plan, a usage file and a dated table of prices."""

import csv
import datetime
import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal

from terraform import ROOT, Terraform, applied, copied, terraform_environment

sys.path += [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "deploy", "cost")]
import cost  # noqa: E402
import gtap  # noqa: E402

# By hand: 2 t3.small and 2 t3.micro for 730 h, 70 GB of gp3, 4 addresses, 4 secrets with 100 requests
# each, a bucket with 0.1 GB, 10 and 100 requests, 5 GB to the Internet.
CA1 = (2 * Decimal("0.0208") * 730 + 2 * Decimal("0.0104") * 730 + 70 * Decimal("0.08")
       + 4 * 730 * Decimal("0.005") + 4 * (Decimal("0.40") + Decimal("0.05") / 100)
       + Decimal("0.1") * Decimal("0.023") + Decimal("0.005") / 100 + Decimal("0.0004") / 10
       + 5 * Decimal("0.09"))


def plan_of(*resources):
    return {"planned_values": {"root_module": {"resources": [
        {"address": f"{kind}.{i}", "type": kind, "values": values}
        for i, (kind, values) in enumerate(resources)]}}}


class Cost(gtap.Case):
    def shown(self, plan, usage="version: 0.1\n", prices=None):
        """What cost.py says of a plan, and its status."""
        words = [sys.executable, os.path.join(ROOT, "deploy", "cost", "cost.py")]
        for option, name, text in (("--plan", "plan.json", json.dumps(plan)),
                                   ("--usage", "usage.yml", usage), ("--prices", "p.csv", prices)):
            if text is not None:
                with open(self.gtap.file(name), "w", encoding="utf-8") as file:
                    file.write(text)
                words += [option, self.gtap.file(name)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=gtap.DEADLINE)
        return done.stdout + done.stderr, done.returncode

    def test_make_cost_is_exact(self):
        done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, "cost"], text=True,
                              capture_output=True, check=False, timeout=gtap.DEADLINE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"\ntotal {cost.exact(CA1)} USD a month\n", done.stdout)
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("module.", "aws_"))]
        self.assertEqual(sum(Decimal(row[-1]) for row in rows), CA1)
        self.assertNotIn("?", done.stdout)

    def test_docs_say_what_it_says(self):
        with open(os.path.join(ROOT, "deploy", "cost", "README.md"), encoding="utf-8") as file:
            self.assertIn(f"{cost.exact(CA1)} USD a month", file.read())

    def test_the_plan_that_is_kept_is_the_plan(self):
        with open(os.path.join(ROOT, "deploy", "cost", "plan-ca1.json"), encoding="utf-8") as file:
            kept = json.load(file)
        self.assertEqual(cost.shape(applied()["plan"]), kept,
                         "deploy/cost/cost.py --plan PLAN --shape >deploy/cost/plan-ca1.json")

    def test_every_kind_of_resource_is_known(self):
        kinds = {kind for _, kind, _ in cost.resources(cost.root_module(applied()["plan"]))}
        self.assertLessEqual(kinds, cost.FREE | set(cost.PAID))
        self.assertFalse(cost.FREE & set(cost.PAID))

    def test_what_has_no_price_is_said(self):
        said, status = self.shown(plan_of(("aws_instance", {
            "instance_type": "u-24tb1.metal", "root_block_device": [
                {"volume_type": "io9", "volume_size": 8}]}), ("aws_ledger", {})))
        self.assertEqual(status, 1)
        self.assertIn("total 0.00 USD a month, without:", said)
        for what in ("aws_instance.0: running (ec2:u-24tb1.metal is not in the table of prices)",
                     "aws_instance.0: disk (ebs:io9 is not in the table of prices)",
                     "aws_ledger.1: nobody knows a price of this kind"):
            self.assertIn(what, said)
        self.assertEqual(len(re.findall(r"not priced +\?$", said, re.M)), 2)

    def test_use_that_nobody_told_is_said(self):
        said, status = self.shown(plan_of(("aws_nat_gateway", {})))
        self.assertEqual(status, 1)
        self.assertIn("total 32.85 USD a month, without:", said)
        self.assertIn("aws_nat_gateway.0: traffic (paid by use;", said)
        told = "resource_type_default_usage:\n  aws_nat_gateway:\n    monthly_data_processed_gb: 0.1\n"
        said, status = self.shown(plan_of(("aws_nat_gateway", {})), told)
        self.assertEqual((status, "total 32.8545 USD a month\n" in said), (0, True), said)

    def test_a_resource_goes_before_its_kind(self):
        usage = ("resource_type_default_usage:\n  aws_instance: {monthly_hrs: 730}\n"
                 "resource_usage:\n  aws_instance.0: {monthly_hrs: 1}\n")
        said, status = self.shown(plan_of(("aws_instance", {"instance_type": "t3.micro",
                                                            "root_block_device": []})), usage)
        self.assertEqual((status, "total 0.0104 USD" in said), (0, True), said)

    def test_endpoints(self):
        said, status = self.shown(plan_of(("aws_vpc_endpoint", {"vpc_endpoint_type": "Gateway"}),
                                          ("aws_vpc_endpoint", {"vpc_endpoint_type": "Interface"})))
        self.assertEqual(status, 1)
        self.assertNotIn("aws_vpc_endpoint.0", said)
        self.assertIn("aws_vpc_endpoint.1: running (endpoint:interface is not", said)

    def test_what_runs_is_priced_as_what_is_planned(self):
        state = {"values": plan_of(("aws_eip", {}))["planned_values"]}
        said, status = self.shown(state)
        self.assertEqual((status, "total 3.65 USD a month\n" in said), (0, True), said)
        said, status = self.shown({"format_version": "1.0"})
        self.assertEqual((status, "terraform show -json" in said), (1, True), said)

    def test_the_table_of_prices(self):
        with open(os.path.join(ROOT, "deploy", "cost", "prices-us-east-1.csv"), encoding="utf-8",
                  newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len({row["item"] for row in rows}), len(rows))
        for row in rows:
            self.assertGreater(Decimal(row["usd"]), 0)
            datetime.date.fromisoformat(row["read_on"])
            self.assertTrue(row["source"] and row["unit"], row)

    def test_amounts_have_all_their_digits(self):
        for amount, text in (("15.184", "15.184"), ("3.650", "3.65"), ("100", "100.00"),
                             ("0.00005", "0.00005"), ("1E+2", "100.00")):
            self.assertEqual(cost.exact(Decimal(amount)), text)
        out = io.StringIO()
        self.assertTrue(cost.show([], [], out))

    def test_infracost_is_given_the_same_stack(self):
        """infracost_test.tf, as Terraform reads it; the prices would come from the Internet."""
        env = terraform_environment(self.gtap.folder)
        copied(self.gtap.folder)
        with open(os.path.join(ROOT, "infracost_test.tf"), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(self.gtap.folder, "infracost_test.tf"), "w", encoding="utf-8") as file:
            file.write(text)
        there = Terraform(self.gtap.folder, env)
        there.run("fmt", "-check", "infracost_test.tf")
        there.init()
        there.run("validate", "-no-color")


if __name__ == "__main__":
    gtap.main("__main__")
