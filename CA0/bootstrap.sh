#!/usr/bin/env bash
# Makes an Ubuntu 24.04 machine ready for its role: bootstrap.sh ROLE (kafka, mongo, processor or
# producers), as root, on the machine. Docker and Compose from Ubuntu's own archive, SSH by keys only,
# the firewall, which from then on follows the machine's tag AdminCidr (gtap-admin). May be repeated.
# Environment: MY_IP_CIDR, and the addresses: see deploy/host/ufw/gtap-ufw.
set -euo pipefail

role=${1:?kafka, mongo, processor or producers}
host=$(cd "$(dirname "${BASH_SOURCE[0]}")/../deploy/host" && pwd)

# Wrong settings are refused before anything is changed.
"$host/ufw/gtap-ufw" "$role" --dry-run >/dev/null

# A new machine may still be at its own packages.
if command -v cloud-init >/dev/null && ! cloud-init status --wait >/dev/null; then
    echo "bootstrap.sh: the machine's first boot ended with errors: cloud-init status --long" >&2
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends curl docker.io docker-compose-v2 ufw
systemctl enable --now docker

install -m 0644 "$host/ssh/10-gtap.conf" /etc/ssh/sshd_config.d/10-gtap.conf
sshd -t
systemctl reload ssh

install -d -m 0750 -g 10001 /etc/gtap/secrets
cat >/etc/gtap/machine.env <<EOF
ROLE=$role
MY_IP_CIDR=$MY_IP_CIDR
KAFKA_IP=${KAFKA_IP:-10.0.1.101}
MONGO_IP=${MONGO_IP:-10.0.1.102}
PROCESSOR_IP=${PROCESSOR_IP:-10.0.1.103}
PRODUCERS_IP=${PRODUCERS_IP:-10.0.1.104}
EOF
install -D -m 0755 -t /opt/gtap/sbin "$host/ufw/gtap-ufw" "$host/sbin/gtap-admin"
install -m 0644 -t /etc/systemd/system "$host/systemd/gtap-admin.service" "$host/systemd/gtap-admin.timer"
/opt/gtap/sbin/gtap-ufw "$role"
systemctl daemon-reload
systemctl enable --now gtap-admin.timer
