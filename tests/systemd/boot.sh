#!/bin/bash
# shellcheck disable=SC2016,SC2317  # quoted on purpose; called by trap
# Boot this machine's own systemd over a throw-away overlay of / and run one program in it.
#   boot.sh OUT_DIR PROGRAM [ARGUMENT...]        (root; cgroup v1; about 2 s besides the program)
# The program runs as a oneshot unit after basic.target. It sees this machine's files and may change
# them: all of it vanishes. /tmp, /run, /dev and the network (loopback only) are its own; of /tmp it
# sees the checkout alone. What it writes to /out lands in OUT_DIR, where its output is in
# check.log, its exit status in status, and the console in boot.log.
set -euo pipefail
out=$(realpath -m "$1")
shift
repo=$(realpath "$(dirname "$0")/../..")
mkdir -p "$out"
rm -f "$out"/{check.log,status}
base=$(mktemp -d)
tag=boot-$$

# Control groups of our own; that of memory never above the caller's limit.
own=$(grep ':memory:' /proc/self/cgroup | cut -d: -f3)
groups=("/sys/fs/cgroup/memory$own/$tag")
for c in systemd unified cpu cpuacct pids devices; do
	[ -d /sys/fs/cgroup/$c ] && groups+=("/sys/fs/cgroup/$c/$tag")
done
cleanup() {
	for g in "${groups[@]}"; do
		for _ in 1 2 3 4 5; do
			find "$g" -depth -type d -exec rmdir {} + 2> /dev/null && break
			sleep 0.2
		done
	done
	rmdir "$base" 2> /dev/null || true
}
trap cleanup EXIT
mkdir -p "${groups[@]}"

command=$(printf '%q ' "$@")
export out base repo command
(
	for g in "${groups[@]}"; do echo $BASHPID > "$g/cgroup.procs"; done
	exec timeout -k 5 "${BOOT_TIMEOUT:-240}" unshare --mount --pid --cgroup --uts --ipc --net --fork \
		--kill-child --propagation private bash -euc '
mount -t tmpfs tmpfs "$base"
mkdir "$base"/{up,wk,root,repo-up,repo-wk}
mount -t overlay -o lowerdir=/,upperdir="$base"/up,workdir="$base"/wk overlay "$base"/root
cd "$base"/root
mkdir -p out
mount --bind "$out" out

# The program as a unit, and nothing of this machine besides.
rm -rf etc/systemd/system/*
cat > etc/systemd/system/check.service <<-U
	[Unit]
	After=basic.target
	[Service]
	Type=oneshot
	WorkingDirectory=$repo
	ExecStart=/bin/bash /out/check.sh
	TimeoutStartSec=infinity
	ExecStopPost=/bin/systemctl --no-block --force poweroff
	U
echo "$command > /out/check.log 2>&1; echo \$? > /out/status" > out/check.sh
printf "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=check.service\nAllowIsolate=yes\n" \
	> etc/systemd/system/check.target
ln -sf check.target etc/systemd/system/default.target

# What a kernel gives; /proc/sys read-only, or systemd would set those of the host.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
for d in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs $d; done
chmod 1777 tmp
for n in null zero full random urandom tty; do
	touch dev/$n
	mount --bind /dev/$n dev/$n
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
for c in memory cpu cpuacct pids devices; do
	mkdir sys/fs/cgroup/$c
	mount -t cgroup -o $c none sys/fs/cgroup/$c
done
mkdir sys/fs/cgroup/{systemd,unified}
mount -t cgroup -o none,name=systemd none sys/fs/cgroup/systemd
mount -t cgroup2 none sys/fs/cgroup/unified

# The checkout at its own path, for it may be below /tmp.
mkdir -p ".$repo"
mount -t overlay -o lowerdir="$repo",upperdir="$base"/repo-up,workdir="$base"/repo-wk overlay ".$repo"

mkdir oldroot
pivot_root . oldroot
umount -l /oldroot
mount --make-rshared / # so that credentials, mounted by a child of systemd, are seen by services
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
	/sbin/init --log-target=console --log-level=warning'
) > "$out/boot.log" 2>&1 < /dev/null || true # init powers off by a signal: the status says nothing
[ -s "$out/status" ] || {
	tail -n 20 "$out/boot.log" >&2
	exit 70
}
exit "$(cat "$out/status")"
