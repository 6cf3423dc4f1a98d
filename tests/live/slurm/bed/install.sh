#!/bin/bash
# install.sh             Slurm of this Debian (22.05 on bookworm) + MariaDB + sshd on the host; idempotent
# install.sh trixie|sid  Slurm 24.11 | 26.05 in a debootstrap chroot under $SLAB/chroot (kept; made once)
set -e; . "$(dirname "$0")/lib.sh"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
APT="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Check-Valid-Until=false --no-install-recommends"
PKGS="slurmctld slurmd slurm-client slurmrestd slurmdbd slurm-wlm-jwt-plugin slurm-wlm-mysql-plugin libslurm-dev"

no_services() {      # $1 = root. Without it the packages start daemons with no configuration and fail.
  [ -e "$1/usr/sbin/policy-rc.d" ] || { printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"; echo mine; }
}

retry() {            # dpkg has no lock time-out of its own, and something else may be installing
  local i; for i in $(seq 60); do "$@" && return; sleep 5; done; return 1
}

host() {
  local want="$PKGS munge mariadb-server openssh-server openssh-client debootstrap iproute2 python3" missing=""
  for p in $want; do dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=" $p"; done
  if [ -n "$missing" ]; then
    local mine; mine=$(no_services "")
    retry apt-get -q update >/dev/null; retry dpkg --configure -a; retry $APT install $missing
    [ -z "$mine" ] || rm -f /usr/sbin/policy-rc.d          # leave the host as it was
  fi
  mkuser alice 6001; mkuser bob 6002
  slurmctld -V
}

chroot_make() {
  local suite=$1 c=$SLAB/chroot/$1
  [ -e "$c/.ready" ] && { chroot "$c" slurmctld -V; return; }
  mkdir -p "$SLAB/chroot"; rm -rf --one-file-system "$c"
  local mirror; mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | awk '/^(deb|URIs:)/{for(i=2;i<=NF;i++)if($i~/debian\/?$/){print $i;exit}}')
  # sid needs no script of its own when the host's debootstrap is older: every suite shares one script
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$c" "$mirror" "$([ -e /usr/share/debootstrap/scripts/$suite ] || echo /usr/share/debootstrap/scripts/sid)" >"$SLAB/chroot/$suite.log" 2>&1
  no_services "$c" >/dev/null
  chroot "$c" $APT install $PKGS libmunge2 python3-minimal libpython3-stdlib >>"$SLAB/chroot/$suite.log" 2>&1
  for u in alice:6001 bob:6002; do chroot "$c" useradd -M -u "${u#*:}" -s /bin/bash "${u%:*}"; done
  printf '127.0.0.1 localhost %s\n' "$HOSTN" >"$c/etc/hosts"
  chroot "$c" apt-get clean; touch "$c/.ready"
  chroot "$c" slurmctld -V
}

case ${1:-host} in host) host;; trixie|sid) chroot_make "$1";; *) die "usage: $0 [host|trixie|sid]";; esac
