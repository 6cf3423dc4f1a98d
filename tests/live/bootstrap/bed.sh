#!/bin/bash
# Machines for the bootstrap's live tests: bare Debian roots, each with its own processes, network and host name.
#   bed.sh root bookworm|trixie|noble  a bare root and the packages it may install, made once and kept ($BED/root, $BED/debs)
#   bed.sh switch DIR                  a network of its own; prints the pid that holds it
#   bed.sh up DIR SUITE NAME N GPUS SWITCHPID    a machine 10.77.0.N with an sshd on an overlay of the root; prints its pid
#   bed.sh down DIR                    end the machine and its mounts (its overlay stays in DIR)
# Needs root, debootstrap and a Debian or Ubuntu host. Nothing is installed on the host and no port of it is used.
set -eu
BED=${BED:-${XDG_CACHE_HOME:-$HOME/.cache}/gpujobs-testbed/bootstrap}
HERE=$(cd "$(dirname "$0")" && pwd)
MIRROR=${GPUJOBS_DEBIAN_MIRROR:-http://deb.debian.org/debian}
WANTED="slurmctld slurmd slurm-client munge slurmdbd slurmrestd slurm-wlm-jwt-plugin slurm-wlm-mysql-plugin mariadb-server"
UBUNTU=${GPUJOBS_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}

make_root() {
  local suite=$1 root=$BED/root/$1 debs=$BED/debs/$1
  [ ! -e "$root.ready-2" ] || return 0
  mkdir -p "$BED/root" "$debs"
  # A debootstrap that was killed leaves its mounts.
  awk -v below="$root/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r -n 1 umount -l
  rm -rf --one-file-system "$root"
  local with=(--variant=minbase --include=openssh-server,iproute2,procps,ca-certificates,python3)
  case $suite in
    # Debian has no keyring of Ubuntu, and its debootstrap may be older than the suite: all of them share one script.
    noble) debootstrap "${with[@]}" --no-check-gpg --components=main,universe "$suite" "$root" "$UBUNTU" \
      /usr/share/debootstrap/scripts/gutsy ;;
    *) debootstrap "${with[@]}" --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$root" "$MIRROR" ;;
  esac
  chroot "$root" apt-get -q -y --no-install-recommends --download-only install $WANTED
  mv "$root"/var/cache/apt/archives/*.deb "$debs/"
  index "$debs" > "$debs/Packages"
  mkdir -p "$root/srv/debs"; echo 'deb [trusted=yes] file:/srv/debs ./' > "$root/etc/apt/sources.list"
  rm -rf "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf"
  install -m 755 "$HERE/nvidia-smi.sh" "$root/usr/bin/nvidia-smi"
  ssh-keygen -q -t ed25519 -N '' -f "$root.key" <<<y >/dev/null
  install -d -m 700 "$root/root/.ssh"; install -m 600 "$root.key.pub" "$root/root/.ssh/authorized_keys"
  touch "$root.ready-2"
}

index() {            # what dpkg-scanpackages would say, without needing it
  local f; for f in "$1"/*.deb; do
    dpkg-deb -f "$f"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$f")" "$(stat -c %s "$f")" "$(sha256sum "$f" | cut -d' ' -f1)"
  done
}

make_switch() {
  mkdir -p "$1"
  unshare --net -- sh -c 'ip link set lo up; ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
    echo $$ > "$0/switch.pid.new"; mv "$0/switch.pid.new" "$0/switch.pid"; exec sleep infinity' "$1" </dev/null >/dev/null 2>&1 &
  await "$1/switch.pid"; cat "$1/switch.pid"
}

await() { local i; for i in $(seq 200); do [ ! -s "$1" ] || return 0; sleep 0.05; done; echo "no $1" >&2; return 1; }

up() {
  local dir=$1 suite=$2 name=$3 n=$4 gpus=$5 switch=$6
  mkdir -p "$dir"/{upper,work,root}; rm -f "$dir"/{waiting,go,pid}     # a machine may be booted again
  unshare --mount --net --uts --pid --ipc --fork --kill-child -- "$0" inside "$dir" "$suite" "$name" "$n" "$gpus" \
    </dev/null >"$dir/log" 2>&1 &
  echo $! > "$dir/unshare.pid"
  await "$dir/waiting" || { cat "$dir/log" >&2; exit 1; }
  local pid; pid=$(pgrep -P "$(cat "$dir/unshare.pid")")
  nsenter -t "$switch" -n ip link add "v$n" type veth peer name eth0 netns "$pid"
  nsenter -t "$switch" -n sh -c "ip link set v$n master br0; ip link set v$n up"
  # A machine that boots again has its address from before, or its neighbours would look for the old one for a while.
  nsenter -t "$pid" -n ip link set eth0 address "$(printf '02:00:0a:4d:00:%02x' "$n")"
  nsenter -t "$pid" -n sh -c "ip link set lo up; ip addr add 10.77.0.$n/24 dev eth0; ip link set eth0 up"
  touch "$dir/go"; await "/proc/$pid/root/run/sshd.pid"
  echo "$pid" > "$dir/pid"; echo "$pid"
}

# Nobody needs these files after a crash of the computer, so what dpkg and the database sync need not reach the disk.
layers() {           # ROOT LAYERS; kernels before 5.10 cannot leave syncs out
  rm -rf "$dir/work/work/incompat"                # says that syncs were left out, and is in the way of a reboot
  mount -t overlay overlay -o "$2,volatile" "$1" 2>/dev/null || mount -t overlay overlay -o "$2" "$1"
}

inside() {           # pid 1 of the machine
  local dir=$1 suite=$2 name=$3 n=$4 gpus=$5 i root=$1/root
  mount --make-rprivate /
  layers "$root" "lowerdir=$BED/root/$suite,upperdir=$dir/upper,workdir=$dir/work"
  mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"; mount -t tmpfs -o mode=755 tmpfs "$root/run"
  for i in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r d a b <<<"$i"; mknod -m 666 "$root/dev/$d" c "$a" "$b"; done
  mkdir -p "$root"/dev/{shm,pts} "$root/run/sshd" "$root/run/lock"; mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  # Character devices of NVIDIA's number without a driver: opening one says "no such device", or "not permitted" where
  # a control group forbids it. That is all the stand-in for nvidia-smi needs.
  for ((i = 0; i < gpus; i++)); do mknod -m 666 "$root/dev/nvidia$i" c 195 "$i"; done
  mount --bind "$BED/debs/$suite" "$root/srv/debs"
  hostname "$name"; echo "$name" > "$root/etc/hostname"
  printf '127.0.0.1 localhost\n10.77.0.2 c1\n10.77.0.3 n1\n10.77.0.4 n2\n10.77.0.%s %s\n' "$n" "$name" > "$root/etc/hosts"
  touch "$dir/waiting"; echo x > "$dir/waiting"
  while [ ! -e "$dir/go" ]; do sleep 0.05; done
  cd "$root"; mkdir -p .old; pivot_root . .old
  umount -l /.old; rmdir /.old
  /usr/sbin/sshd -o UsePAM=no -o MaxSessions=64
  # pid 1 has to bury what daemons leave behind, and that is what a shell that waits does.
  trap 'exit 0' TERM
  while :; do sleep 3600 & wait $! || true; done
}

down() {
  local p; p=$(cat "$1/unshare.pid" 2>/dev/null) || return 0
  kill -9 "$p" 2>/dev/null || true
  local i; for i in $(seq 100); do [ -e "/proc/$p" ] || break; sleep 0.05; done
}

cmd=$1; shift
case $cmd in
  root) make_root "$1" ;;
  switch) make_switch "$1" ;;
  up) up "$@" ;;
  inside) inside "$@" ;;
  down) down "$1" ;;
  *) sed -n '2,8p' "$0"; exit 2 ;;
esac
